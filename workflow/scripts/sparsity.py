"""Count the zeros of a merged or single vector, and on how many numbers its pool agrees."""

from dataclasses import asdict
from functools import cache

from negmerge.checkpoints import StateFile
from negmerge.evaluation.sparsity import Sparsity, sparsity
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.merging.inputs import chosen
from negmerge.models.freezing import is_frozen

with job(snakemake):
    inputs, frozen = snakemake.input, snakemake.params.freeze
    paths = inputs.candidates

    @cache
    def count(path: str) -> Sparsity:
        """Count one vector."""
        return sparsity(
            StateFile(path),
            [StateFile(vector) for vector in inputs.vectors],
            StateFile(inputs.base),
            lambda tensor: not is_frozen(tensor, frozen),
            progress=True,
        )

    # A merge is one vector; the best single one is, for each rule, that of several which it chose.
    places = {None: 0} if len(paths) == 1 else chosen(inputs.choice[0], paths)
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task", "method")}
    labels["models"] = len(inputs.vectors)
    records = [
        labels | {"rule": rule} | asdict(count(paths[place])) for rule, place in places.items()
    ]
    write_json(snakemake.output.sparsity, records)
