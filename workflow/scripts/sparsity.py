"""Count the zeros of the vectors of a table, and on how many numbers the pool of each agrees."""

from dataclasses import asdict
from pathlib import Path

from negmerge.checkpoints.divergence import DIVERGED, chosen_vectors, split_diverged
from negmerge.checkpoints.states import StateFile, read_metadata
from negmerge.evaluation.sparsity import Sparsity, sparsity
from negmerge.files import write_json
from negmerge.jobs.job import job
from negmerge.models.clip import is_frozen

with job(snakemake):
    inputs, points, frozen = snakemake.input, snakemake.params.points, snakemake.params.freeze
    whole, missing = split_diverged(inputs.vectors)
    files = {Path(path).stem: StateFile(path) for path in (*whole, *inputs.candidates)}
    pools = {name: [one for one in points[name] if one not in missing] for name in points}
    candidates = snakemake.params.candidates
    choices = {Path(path).stem: path for path in inputs.choices}
    base = StateFile(inputs.base)

    def vectors_of(method: str) -> dict[str | None, str]:
        """Name a merge, or the vector that each criterion chose of several."""
        own = [name for name in candidates[method] if name not in missing]
        if len(own) == 1:
            return {None: own[0]}
        places = chosen_vectors(choices[method], own)
        return {criterion: own[place] for criterion, place in places.items()}

    # Numbers of given models that are in no vector, since all models have them from the base.
    untouched = {read_metadata(path).get("untouched_numbers", 0) for path in whole}
    more = {"untouched_numbers": untouched.pop()} if len(untouched) == 1 and any(untouched) else {}
    counts, named = {}, {name: vectors_of(name) for name, pool in pools.items() if pool}
    # The vectors of one pool are counted together, so that its files are read once.
    for pool in {tuple(pools[one]): pools[one] for one in named}.values():
        names = [name for one in named if pools[one] == pool for name in named[one].values()]
        vectors, voters = [files[name] for name in names], [files[name] for name in pool]
        counted = sparsity(vectors, voters, base, lambda name: not is_frozen(name, frozen), True)
        counts |= {(*pool, name): one for name, one in zip(names, counted, strict=True)}
    labels = {key: snakemake.wildcards[key] for key in ("experiment", "task")}
    records = [
        labels
        | {"method": method, "models": len(pool), "criterion": criterion, "vector": name}
        | {DIVERGED: [one for one in points[method] if one in missing]}
        | asdict(counts.get((*pool, name), Sparsity()))
        | more
        for method, pool in pools.items()
        for criterion, name in named.get(method, {None: None}).items()
    ]
    write_json(snakemake.output.sparsity, records)
