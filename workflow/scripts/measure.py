"""Measure Retrain on validation images, for the rule that compares others with it."""

from negmerge.evaluation.validation import load_validation
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.selection.points import Point, write_points
from negmerge.states import read_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(
        scenario,
        inputs.base,
        params.batch_size,
        device,
        roles=params.roles,
        loaders=loaders,
        **params.validation,
    )
    found = validation.measure(scenario.network(read_state(inputs.trained), inputs.trained))
    print(found)
    point = Point(snakemake.wildcards.method, 1.0, found.accuracy, found.further)
    write_points(snakemake.output.measures, snakemake.wildcards, [point])
