"""Count the zeros of the vectors of a table, and on how many numbers the pool of each agrees."""

from dataclasses import asdict
from pathlib import Path

from negmerge.checkpoints import StateFile
from negmerge.evaluation.sparsity import sparsity
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.merging.inputs import chosen
from negmerge.models.freezing import is_frozen
from negmerge.states import read_metadata

with job(snakemake):
    inputs, points, frozen = snakemake.input, snakemake.params.points, snakemake.params.freeze
    files = {Path(path).stem: StateFile(path) for path in (*inputs.vectors, *inputs.candidates)}
    choices = {Path(path).stem: path for path in inputs.choices}
    base = StateFile(inputs.base)

    def vectors_of(method: str) -> dict[str | None, str]:
        """Name a merge, or the single vector that each rule chose."""
        if method in files or len(points[method]) == 1:
            return {None: method if method in files else points[method][0]}
        found = chosen(choices[method], points[method])
        return {rule: points[method][place] for rule, place in found.items()}

    # Numbers of given models that are in no vector, since all models have them from the base.
    beside = {read_metadata(path).get("beside", 0) for path in inputs.vectors}
    more = {"beside": beside.pop()} if len(beside) == 1 and any(beside) else {}
    counts, named = {}, {method: vectors_of(method) for method in points}
    # The vectors of one pool are counted together, so that its files are read once.
    for pool in {tuple(pool): pool for pool in points.values()}.values():
        names = [name for one in points if points[one] == pool for name in named[one].values()]
        vectors, voters = [files[name] for name in names], [files[name] for name in pool]
        found = sparsity(vectors, voters, base, lambda name: not is_frozen(name, frozen), True)
        counts |= {(*pool, name): one for name, one in zip(names, found, strict=True)}
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task")}
    records = [
        labels
        | {"method": method, "models": len(pool), "rule": rule}
        | asdict(counts[*pool, name])
        | more
        for method, pool in points.items()
        for rule, name in named[method].items()
    ]
    write_json(snakemake.output.sparsity, records)
