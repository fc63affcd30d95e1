"""How many numbers a vector keeps, how many shrink the base, and how far its pool agrees."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from recomputation.merges import agree, flat
from recomputation.result import Result, same_values
from recomputation.study import Study, Task, read_header, read_records, read_tensors

KIND = "counts of kept numbers"


def check(study: Study) -> Iterator[Result]:
    """Count anew, for each vector that was counted and is kept with its pool and base."""
    for task in study.tasks():
        for path in task.files("sparsity", "json").values():
            for stored in read_records(path):
                yield _compare(task, study.place(path), stored)


def _compare(task: Task, place: str, stored: dict) -> Result:
    vector, pool = _files(task, stored["method"], stored["rule"])
    if vector is None or len(pool) != stored["models"]:
        return Result(KIND, place, left_out="the vectors are not kept")
    base, merged, *vectors = map(read_tensors, (task.base, vector, *pool))
    if any(one.keys() != merged.keys() for one in vectors):
        return Result(KIND, place, "the vectors have other tensors")
    return same_values(KIND, place, stored, count(base, merged, vectors))


def _files(task: Task, name: str, rule: str | None) -> tuple[Path | None, list[Path]]:
    """Return the file of a vector, and those of the vectors that it comes from."""
    vectors = task.files("vectors", "safetensors")
    merged = task.folder / "merged" / f"{name}.safetensors"
    if merged.exists():
        inputs = read_header(merged).get("inputs", [])
        names = [one["name"].removesuffix(".safetensors") for one in inputs] or list(vectors)
        return merged, [vectors[one] for one in names if one in vectors]
    chosen = task.folder / "selected" / f"{name}.json"
    choices = read_records(chosen) if chosen.exists() else []
    singles = [one["vector"] for one in choices if rule in (None, one["rule"])]
    return vectors.get(singles[0]) if singles else None, list(vectors.values())


def count(base: Mapping, merged: Mapping, vectors: list[Mapping]) -> dict[str, int]:
    """Count numbers; signs are compared, since products of small numbers may round to 0."""
    pool, found = np.stack([flat(one) for one in vectors]), flat(merged)
    before = flat({name: base[name] for name in merged})
    return {
        "kept": np.count_nonzero(found),
        "shrinking": np.count_nonzero(np.sign(found) * np.sign(before) < 0),
        "voting": np.count_nonzero((pool != 0).all(axis=0)),
        "agreeing": np.count_nonzero(agree(pool)),
        "state": found.size,
    }
