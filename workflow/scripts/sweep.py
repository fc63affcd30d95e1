"""Measure the base on validation data at each coefficient of one vector."""

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
    (path,) = inputs.vector
    vector = read_state(path)
    rows = []
    for coefficient in params.coefficients:
        validation.move(vector, coefficient, path)
        rows.append((coefficient, validation.measure()))
        print(f"coefficient {coefficient}: {rows[-1][1]}")
    write_sweep(snakemake.output.sweep, dict(snakemake.wildcards), rows)
