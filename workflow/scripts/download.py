"""Get one file of a data set from the internet, and check it."""

from negmerge.data.fetch import download
from negmerge.jobs.job import job

with job(snakemake):
    download(snakemake.output.file, snakemake.params.file, by_hand=snakemake.params.by_hand)
