"""Merge by measuring: greedily, or the mean of as many of the best task vectors as forget most."""

from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED, split_diverged
from negmerge.checkpoints.states import write_state
from negmerge.jobs import compute
from negmerge.jobs.job import job
from negmerge.scenarios import load_task
from negmerge.scenarios.validation import load_validation
from negmerge.selection.validation import merge_measured

with job(snakemake):
    inputs, params = snakemake.input, snakemake.params
    device, loaders = compute.prepare(snakemake)
    task = load_task(params.scenario, inputs, device)
    validation = load_validation(task, inputs.base, loaders, **params.validation)
    whole, missing = split_diverged(inputs.vectors)
    vectors = {Path(path).stem: path for path in whole}
    labels = {"method": params.method, "options": params.options, DIVERGED: missing}
    merged, report = {}, {}
    if vectors:
        how = params.coefficients, params.keep, params.halvings
        merged, report = merge_measured(params.method, vectors, validation, *how, **params.options)
    write_state(snakemake.output.merged, merged, labels | report)
