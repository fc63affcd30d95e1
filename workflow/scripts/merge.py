"""Merge the task vectors of the pool into one."""

from negmerge.job import job
from negmerge.merging import merge_files

with job(snakemake):
    merge_files(
        snakemake.wildcards.method,
        snakemake.input.vectors,
        snakemake.output.merged,
        **snakemake.params.options,
    )
