"""Measure the base on validation images at each coefficient of one vector, and near the best.

Or Retrain, once, for the criterion that compares others with it.
"""

from negmerge.checkpoints.divergence import split_diverged
from negmerge.checkpoints.states import read_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.validation import load_validation
from negmerge.selection.choice import load_criteria
from negmerge.selection.points import write_points
from negmerge.selection.validation import sweep

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    (path,) = inputs.candidate
    how = {"roles": params.roles, **params.validation}
    validation = load_validation(task, inputs.base, loaders, **how)
    if params.coefficients:
        criteria = load_criteria(params.criteria, params.keep, inputs.get("reference", []))
        points = sweep(validation, path, params.coefficients, criteria, params.halvings)
    else:
        network = task.network(read_state(path), path)
        points = [validation.measure(snakemake.wildcards.vector, 1.0, network)]
    write_points(snakemake.output.sweep, snakemake.wildcards, points, split_diverged([path])[1])
