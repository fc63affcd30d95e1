"""Merge the task vectors of the pool into one."""

from negmerge.job import job
from negmerge.merging import merge_files

with job(snakemake):
    params = snakemake.params
    merge_files(
        params.method,
        snakemake.input.vectors,
        snakemake.output.merged,
        device=params.device,
        **params.options,
    )
