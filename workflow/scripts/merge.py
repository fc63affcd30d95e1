"""Merge the task vectors of the pool into one."""

from negmerge.checkpoints.divergence import DIVERGED, sift
from negmerge.checkpoints.states import write_state
from negmerge.jobs.compute import take_device
from negmerge.jobs.job import job
from negmerge.jobs.provenance import device_name
from negmerge.merging import merge_files
from negmerge.merging.inputs import chosen

with job(snakemake):
    params, merged = snakemake.params, snakemake.output.merged
    vectors, missing = sift(snakemake.input.vectors)
    options = dict(params.options)
    for choice in snakemake.input.get("choice", []) if vectors else []:
        by_main_rule, *_ = chosen(choice, vectors).values()
        options["single"] = 1 + by_main_rule
    if vectors:
        where = {"device": take_device(device_name(snakemake)), "missing": missing}
        merge_files(params.method, vectors, merged, **where, **options)
    else:
        write_state(merged, {}, {"method": params.method, DIVERGED: missing})
