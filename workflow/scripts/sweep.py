"""Measure forget and control accuracy on validation data at each coefficient of one vector."""

from negmerge import compute
from negmerge.evaluation.validation import load_validation
from negmerge.job import job
from negmerge.selection import write_sweep
from negmerge.states import read_state

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device = compute.prepare(params.device, params.torch_threads, seed=0)
    validation = load_validation(
        params.model, inputs.base, params.datasets, inputs, params.batch_size, device
    )
    count = validation.counting(lambda path: (read_state(path), path))
    rows = []
    for coefficient in params.coefficients:
        found = validation.accuracies(count, inputs.vector[0], coefficient)
        rows.append((coefficient, found["forget"], found["control"]))
        print(f"coefficient {coefficient}: {found}")
    write_sweep(snakemake.output.sweep, dict(snakemake.wildcards), rows)
