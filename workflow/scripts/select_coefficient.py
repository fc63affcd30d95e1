"""Choose the coefficient of a method, and for task arithmetic the model of the pool."""

from dataclasses import asdict

from negmerge.files import write_json
from negmerge.job import job
from negmerge.selection import UNCHANGED, choose, read_sweep

with job(snakemake):
    sweeps = dict(read_sweep(path) for path in snakemake.input.sweeps)
    rule = snakemake.params.selection
    choice = choose(sweeps, rule["keep"]) if sweeps else UNCHANGED
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    write_json(snakemake.output.selected, labels | asdict(choice) | rule)
