"""Merge the task vectors of the pool into one."""

from negmerge.jobs.gpus import take_device
from negmerge.jobs.job import job
from negmerge.jobs.provenance import device_name
from negmerge.merging import merge_files
from negmerge.merging.inputs import chosen

with job(snakemake):
    params, vectors = snakemake.params, snakemake.input.vectors
    options = dict(params.options)
    for choice in snakemake.input.get("choice", []):
        by_main_rule, *_ = chosen(choice, vectors).values()
        options["single"] = 1 + by_main_rule
    merge_files(
        params.method,
        vectors,
        snakemake.output.merged,
        device=take_device(device_name(snakemake)),
        **options,
    )
