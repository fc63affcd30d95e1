"""Bring a data set into the one form that all later steps read."""

from negmerge.data.preparation import prepare
from negmerge.jobs.job import job

with job(snakemake):
    prepare(
        snakemake.wildcards.dataset,
        snakemake.params.dataset,
        snakemake.input.files,
        snakemake.output[0],
    )
