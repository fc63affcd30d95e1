"""Choose the coefficient of a method, and for task arithmetic the model of the pool."""

from dataclasses import asdict

from negmerge.files import read_json, write_json
from negmerge.job import job
from negmerge.selection import UNCHANGED, Choice, choose, read_sweep

with job(snakemake):
    inputs, rule = snakemake.input, snakemake.params.selection
    if inputs.get("search"):
        choice = Choice(**read_json(inputs.search[0])["choice"])
    else:
        sweeps = dict(read_sweep(path) for path in inputs.get("sweeps", []))
        choice = choose(sweeps, rule["keep"]) if sweeps else UNCHANGED
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    write_json(snakemake.output.selected, labels | asdict(choice) | rule)
