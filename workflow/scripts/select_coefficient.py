"""Choose the coefficient of a method, and the vector or trained model, by each rule."""

from negmerge.files import read_json, write_json
from negmerge.jobs.job import job
from negmerge.selection.choice import Choice, load_rules
from negmerge.selection.points import read_points

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    points = [point for path in inputs.get("sweeps", []) for point in read_points(path)]
    searched = inputs.get("search", [])
    records = []
    for rule in load_rules(params.rules, params.keep, inputs.get("reference", [])):
        if searched:
            choice = Choice(**read_json(searched[0], keys=["choice"])["choice"])
        else:
            choice = rule.choose(points)
        records.append(choice.record(snakemake.wildcards, rule.name, params.about))
    write_json(snakemake.output.selected, records)
