"""Subtract the base from a fine-tuned model: its task vector."""

from negmerge.jobs.job import job
from negmerge.states import read_state, write_state
from negmerge.vectors import task_vector

with job(snakemake):
    base, finetuned = snakemake.input.base, snakemake.input.finetuned
    vector = task_vector(read_state(base), read_state(finetuned), finetuned)
    write_state(snakemake.output.vector, vector, {"point": snakemake.wildcards.point})
