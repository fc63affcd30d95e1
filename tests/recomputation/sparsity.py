"""How many numbers a vector keeps, how many shrink the base, and how far its pool agrees."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from recomputation.merges import agree, flat
from recomputation.result import Result, same_values
from recomputation.study import Study, Task, read_header, read_json, read_records, read_tensors

KIND = "counts of kept numbers"


def check(study: Study) -> Iterator[Result]:
    """Count anew, for each vector that was counted and is kept with its pool and base."""
    for task in study.tasks():
        for name, path in task.files("sparsity", "json").items():
            stored, place = read_json(path), study.place(path)
            vector, pool = _files(task, name)
            if vector is None or len(pool) != stored["models"]:
                yield Result(KIND, place, left_out="the vectors are not kept")
                continue
            base, merged, *vectors = map(read_tensors, (task.base, vector, *pool))
            if any(one.keys() != merged.keys() for one in vectors):
                yield Result(KIND, place, "the vectors have other tensors")
                continue
            yield same_values(KIND, place, stored, count(base, merged, vectors))


def _files(task: Task, name: str) -> tuple[Path | None, list[Path]]:
    """Give the file of a vector, and those of the vectors that it comes from."""
    vectors = task.files("vectors", "safetensors")
    merged = task.folder / "merged" / f"{name}.safetensors"
    if merged.exists():
        inputs = read_header(merged).get("inputs", [])
        names = [one["name"].removesuffix(".safetensors") for one in inputs] or list(vectors)
        return merged, [vectors[one] for one in names if one in vectors]
    chosen = task.folder / "selected" / f"{name}.json"
    single = read_records(chosen)[0]["vector"] if chosen.exists() else None
    return vectors.get(single), list(vectors.values())


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
