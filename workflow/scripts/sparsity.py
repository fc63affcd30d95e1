"""Count the zeros of a merged vector, of the trainable weights and of all."""

from dataclasses import asdict

from negmerge.evaluation.sparsity import sparsity
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.models.freezing import is_frozen
from negmerge.stored import StateFile

with job(snakemake):
    vector = StateFile(snakemake.input.merged)
    counts = sparsity(vector, lambda name: not is_frozen(name, snakemake.params.frozen))
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    write_json(
        snakemake.output.sparsity, labels | {"models": snakemake.params.models} | asdict(counts)
    )
