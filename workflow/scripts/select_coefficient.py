"""Choose the coefficient of a method, and the vector or trained model where there are several."""

from dataclasses import asdict, replace

from negmerge.files import read_json, write_json
from negmerge.jobs.job import job
from negmerge.selection import UNCHANGED, Choice, choose, choose_by_gap, read_sweep

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    sweeps = dict(read_sweep(path) for path in inputs.get("sweeps", []))
    if inputs.get("search"):
        choice = Choice(**read_json(inputs.search[0], keys=["choice"])["choice"])
    elif not sweeps:
        choice = UNCHANGED
    elif params.rule == "gap":
        _, retrain = read_sweep(inputs.reference[0])
        reference = {name: values[-1] for name, values in retrain.measures.items()}
        choice = choose_by_gap(sweeps, reference)
    else:
        choice = choose(sweeps, params.keep)
    # A trained model has no grid of coefficients that might be too short.
    choice = replace(choice, upper_end=choice.upper_end and not params.trained)
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    how = {"rule": params.rule, "keep": params.keep, "models": params.models}
    write_json(snakemake.output.selected, labels | asdict(choice) | how)
