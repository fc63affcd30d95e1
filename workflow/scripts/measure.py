"""Measure a trained model on validation data as a sweep does: 0 is the base, 1 the model."""

from negmerge.evaluation.validation import load_validation
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_scenario
from negmerge.selection import write_sweep
from negmerge.states import read_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device = compute.prepare(params.device, params.torch_threads, seed=0)
    scenario = load_scenario(params.scenario, inputs, device)
    validation = load_validation(
        scenario, inputs.base, params.batch_size, device, roles=params.roles, **params.validation
    )
    trained = scenario.network(read_state(inputs.trained), inputs.trained)
    rows = [(0.0, validation.measure()), (1.0, validation.measure(trained))]
    print(rows)
    labels = dict(snakemake.wildcards) | {"vector": snakemake.wildcards.method}
    write_sweep(snakemake.output.sweep, labels, rows)
