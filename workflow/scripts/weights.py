"""Fetch the weights of a model that others have trained, into the cache that jobs read."""

from negmerge.jobs.job import job
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import load_clip

with job(snakemake):
    row = snakemake.params.model
    if row["weights"] == "pretrain":
        build_classifier(row, classes=1)
    else:
        load_clip(row)
