"""Merge greedily: add to the mean one task vector after the other, if it then forgets more."""

from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED, split_diverged
from negmerge.checkpoints.states import write_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.validation import load_validation
from negmerge.selection.validation import merge_greedily

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    validation = load_validation(task, inputs.base, loaders, **params.validation)
    whole, missing = split_diverged(inputs.vectors)
    vectors = {Path(path).stem: path for path in whole}
    labels = {"method": "greedy", "options": params.options, DIVERGED: missing}
    merged, report = {}, {}
    if vectors:
        how = params.coefficients, params.keep, params.halvings
        merged, report = merge_greedily(vectors, validation, *how, **params.options)
    write_state(snakemake.output.merged, merged, labels | report)
