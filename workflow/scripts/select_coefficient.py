"""Choose the coefficient of a method, and the vector or trained model where there are several."""

from dataclasses import asdict

from negmerge.files import read_json, write_json
from negmerge.jobs.job import job
from negmerge.selection.choice import RETRAIN, UNCHANGED, Choice, load_rules
from negmerge.selection.points import read_points

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    points = [point for path in inputs.get("measures", []) for point in read_points(path)]
    if inputs.get("search"):
        choice = Choice(**read_json(inputs.search[0], keys=["choice"])["choice"])
    elif points:
        (rule,) = load_rules([params.rule], params.keep, inputs.get("reference", []))
        choice = rule.choose(points)
    else:
        choice = RETRAIN if params.kind == "retrain" else UNCHANGED
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    how = {key: params[key] for key in ("kind", "searched", "rule", "keep", "models")}
    unchanged = choice.vector is not None and choice.coefficient == 0
    write_json(snakemake.output.selected, labels | asdict(choice) | {"unchanged": unchanged} | how)
