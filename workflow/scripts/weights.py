"""Fetch the weights of a model that others have trained, and record which file they are."""

from negmerge.jobs.job import job
from negmerge.models.weights import fetch

with job(snakemake):
    fetch(snakemake.params.model, snakemake.output.record)
