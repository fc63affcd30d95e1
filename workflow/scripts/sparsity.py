"""Count the zeros of a merged or single vector, and on how many numbers its pool agrees."""

from dataclasses import asdict

from negmerge.checkpoints import StateFile
from negmerge.evaluation.sparsity import sparsity
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.merging.inputs import chosen
from negmerge.models.freezing import is_frozen

with job(snakemake):
    inputs, frozen = snakemake.input, snakemake.params.freeze
    paths = inputs.candidates
    # A merge is one vector; the best single one is that of several which was chosen.
    path = paths[0] if len(paths) == 1 else paths[chosen(inputs.choice[0], paths)]
    counts = sparsity(
        StateFile(path),
        [StateFile(vector) for vector in inputs.vectors],
        StateFile(inputs.base),
        lambda tensor: not is_frozen(tensor, frozen),
        progress=True,
    )
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    labels["models"] = len(inputs.vectors)
    write_json(snakemake.output.sparsity, labels | asdict(counts))
