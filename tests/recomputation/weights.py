"""Task vectors, fine-tuned - base, and counts: numbers that are kept, shrink the base, or agree."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from recomputation.merges import agree, flat
from recomputation.result import Result, same_array, same_values
from recomputation.study import Study, Task, read_header, read_records, read_tensors

VECTORS, COUNTS = "task vectors", "counts of kept numbers"
# Of batch normalisation: measured, not learned, and no part of a vector.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def check(study: Study) -> Iterator[Result]:
    """Compare the task vectors, and what was counted of all vectors."""
    yield from _vectors(study)
    yield from _counts(study)


def _vectors(study: Study) -> Iterator[Result]:
    """Subtract the base from each fine-tuned model that is kept.

    One subtraction of float32 numbers is rounded in one way, so the bits must be the same.
    """
    for task in study.tasks():
        for name, path in task.files("vectors", "safetensors").items():
            yield _compare_vector(study, task, name, path)


def _compare_vector(study: Study, task: Task, name: str, path: Path) -> Result:
    place = study.place(path)
    finetuned = task.folder / "finetuned" / f"{name}.safetensors"
    if not finetuned.exists():
        return Result(VECTORS, place, left_out="the fine-tuned model is not kept")
    before, after, vector = map(read_tensors, (task.base, finetuned, path))
    names = {name for name, tensor in before.items() if _is_learned(name, tensor)}
    layout = same_values(VECTORS, place, {"tensors": sorted(vector)}, {"tensors": sorted(names)})
    if layout.fault:
        return layout
    compared = (
        same_array(VECTORS, f"{place}: {name}", vector[name], after[name] - before[name])
        for name in sorted(names)
    )
    return next((one for one in compared if one.fault), Result(VECTORS, place))


def _is_learned(name: str, tensor: np.ndarray) -> bool:
    return tensor.dtype.kind == "f" and name.split(".")[-1] not in STATISTICS


def _counts(study: Study) -> Iterator[Result]:
    """Count anew, for each vector that was counted and is kept with its pool and base."""
    for task in study.tasks():
        for path in task.files("sparsity", "json").values():
            for stored in read_records(path):
                yield _compare_counts(task, study.place(path), stored)


def _compare_counts(task: Task, place: str, stored: dict) -> Result:
    vector, pool = _files(task, stored["method"], stored["criterion"])
    if vector is None or len(pool) != stored["models"]:
        return Result(COUNTS, place, left_out="the vectors are not kept")
    base, merged, *vectors = map(read_tensors, (task.base, vector, *pool))
    if any(one.keys() != merged.keys() for one in vectors):
        return Result(COUNTS, place, "the vectors have other tensors")
    return same_values(COUNTS, place, stored, count(base, merged, vectors))


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
    singles = [one["vector"] for one in choices if rule in (None, one["criterion"])]
    return vectors.get(singles[0]) if singles else None, list(vectors.values())


def count(base: Mapping, merged: Mapping, vectors: list[Mapping]) -> dict[str, int]:
    """Count numbers; signs are compared, since products of small numbers may round to 0."""
    pool, found = np.stack([flat(one) for one in vectors]), flat(merged)
    before = flat({name: base[name] for name in merged})
    return {
        "kept": np.count_nonzero(found),
        "shrinking": np.count_nonzero(np.sign(found) * np.sign(before) < 0),
        "nonzero_in_all": np.count_nonzero((pool != 0).all(axis=0)),
        "agreeing": np.count_nonzero(agree(pool)),
        "state": found.size,
    }
