"""Merge greedily: add to the mean one task vector after the other, if it then forgets more."""

from pathlib import Path

from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.scenarios.validation import load_validation
from negmerge.selection.merge_greedily import merge_greedily
from negmerge.states import write_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(scenario, inputs.base, loaders, **params.validation)
    merged, report = merge_greedily(
        {Path(path).stem: path for path in inputs.vectors},
        validation,
        params.coefficients,
        params.keep,
        params.halvings,
        **params.options,
    )
    labels = {"method": "greedy", "options": params.options}
    write_state(snakemake.output.merged, merged, labels | report)
