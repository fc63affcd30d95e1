"""Task vectors, fine-tuned - base; merged vectors, by the formulas of the methods' papers; counts.

Sums run over the vectors in the order of their names, in float32; so numpy's bits must be those of
the file. What a method draws by lot is not drawn again, and only what holds of any draw compared.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from recomputation.study import Ledger, Study, Task, read_header, read_records, read_tensors

VECTORS, COUNTS = "task vectors", "counts of kept numbers"
# Methods without a formula here.
OTHERS = "merges by other methods"
# Of batch normalisation: measured, not learned, and no part of a vector.
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def check(study: Study, ledger: Ledger) -> None:
    """Compare the task vectors, the merged ones, and what was counted of all of them."""
    for task in study.tasks():
        for name, path in task.files("vectors", "safetensors").items():
            _check_vector(task, name, path, study.place(path), ledger)
        for path in task.files("merged", "safetensors").values():
            _check_merge(task, path, study.place(path), ledger)
        for path in task.files("sparsity", "json").values():
            for stored in read_records(path):
                _check_counts(task, stored, study.place(path), ledger)


def _check_vector(task: Task, name: str, path: Path, place: str, ledger: Ledger) -> None:
    """One subtraction of float32 numbers is rounded in one way, so the bits must be the same."""
    finetuned = task.folder / "finetuned" / f"{name}.safetensors"
    if not finetuned.exists():
        return ledger.leave_out(VECTORS, "the fine-tuned model is not kept")
    before, after, vector = map(read_tensors, (task.base, finetuned, path))
    learned = {
        name: after[name] - tensor
        for name, tensor in before.items()
        if tensor.dtype.kind == "f" and name.split(".")[-1] not in STATISTICS
    }
    if vector.keys() != learned.keys():
        return ledger.values(VECTORS, place, {"tensors": [*vector]}, {"tensors": [*learned]})
    return ledger.array(VECTORS, place, flat(vector), flat(learned))


def _check_merge(task: Task, path: Path, place: str, ledger: Ledger) -> None:
    header = read_header(path)
    method, kind = header["method"], f"merges by {header['method']}"
    if method not in (*FORMULAS, "greedy", "random-mask"):
        return ledger.leave_out(OTHERS, f"no formula here of {method}")
    if method == "ties" and (header["options"]["of"], header["options"]["numbers"]) != ("state", 0):
        return ledger.leave_out(OTHERS, "no formula here of TIES by a share of other numbers")
    files = header.get("inputs") or [{"name": f"{one}.safetensors"} for one in header["accepted"]]
    names = [file["name"] for file in files]
    paths = [task.folder / "vectors" / name for name in names]
    if not all(map(Path.exists, paths)):
        return ledger.leave_out(kind, "the task vectors are not kept")
    merged, vectors = read_tensors(path), [read_tensors(one) for one in paths]
    if any(vector.keys() != merged.keys() for vector in vectors):
        ledger.faults.append(f"{place}: {kind}: it has other tensors than the vectors")
        return None
    if method == "greedy":
        _check_trials(header, place, ledger)
    elif paths != sorted(paths, key=lambda path: path.stem):
        ledger.faults.append(f"{place}: {kind}: not in the order of their names: {names}")
    if method == "masked-single":
        _check_single(task, header, place, ledger)
    if method == "random-mask":
        return _check_draw(kind, place, merged, vectors, ledger)
    formula = uniform if method == "greedy" else FORMULAS[method]
    expected = formula(np.stack([flat(one) for one in vectors]), **header["options"])
    return ledger.array(kind, place, flat(merged), expected)


def _check_draw(kind: str, place: str, merged: dict, vectors: list[dict], ledger: Ledger) -> None:
    """Random mask: in each tensor as many numbers as agree, and each of them is the mean."""
    counts, means = [], []
    for name, found in merged.items():
        pool = np.stack([vector[name] for vector in vectors])
        counts.append((np.count_nonzero(found), np.count_nonzero(agree(pool))))
        means.append(np.where(found != 0, uniform(pool), 0).ravel())
    kept, agreeing = zip(*counts, strict=True)
    ledger.values(f"{kind}, how many", place, {"kept": kept}, {"kept": agreeing})
    ledger.array(kind, place, np.concatenate([merged[name].ravel() for name in merged]),
                 np.concatenate(means))  # fmt: skip


def _check_single(task: Task, header: dict, place: str, ledger: Ledger) -> None:
    """Masked single: the vector is the one that task-arithmetic chose of the same pool."""
    kind, choices = "vectors that masked-single masks", []
    for name, path in task.files("selected", "json").items():
        choice = read_records(path)[0]
        if name.startswith("task-arithmetic") and choice["models"] == len(header["inputs"]):
            choices.append(choice)
    if len(choices) != 1:
        return ledger.leave_out(kind, "no single choice among as many vectors")
    masked = header["inputs"][header["options"]["single"] - 1]["name"]
    expected = {"vector": f"{choices[0]['vector']}.safetensors"}
    return ledger.values(kind, place, {"vector": masked}, expected)


def _check_trials(header: dict, place: str, ledger: Ledger) -> None:
    """Greedy: the first vector stays, and each other that makes the mean forget more."""
    accepted, best = [], float("inf")
    for trial in header["trials"]:
        forget = trial["choice"]["forget_accuracy"]
        if forget < best or (forget == best and not header["options"]["strict"]):
            accepted, best = [*accepted, trial["name"]], forget
    ledger.values("trials of greedy merges", place, header, {"accepted": accepted})


def _check_counts(task: Task, stored: dict, place: str, ledger: Ledger) -> None:
    """Count anew; signs are compared, since products of small numbers may round to 0."""
    vector, pool = _files(task, stored["method"], stored["criterion"])
    if vector is None or len(pool) != stored["models"]:
        return ledger.leave_out(COUNTS, "the vectors are not kept")
    base, merged, *vectors = map(read_tensors, (task.base, vector, *pool))
    if any(one.keys() != merged.keys() for one in vectors):
        ledger.faults.append(f"{place}: {COUNTS}: the vectors have other tensors")
        return None
    numbers, voters = flat(merged), np.stack([flat(one) for one in vectors])
    before = flat({name: base[name] for name in merged})
    expected = {
        "kept": np.count_nonzero(numbers),
        "shrinking": np.count_nonzero(np.sign(numbers) * np.sign(before) < 0),
        "nonzero_in_all": np.count_nonzero((voters != 0).all(axis=0)),
        "agreeing": np.count_nonzero(agree(voters)),
        "state": numbers.size,
    }
    return ledger.values(COUNTS, place, stored, expected)


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


def flat(tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put all tensors one after the other, in the order of their names."""
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


def total(vectors: np.ndarray) -> np.ndarray:
    """Add up the rows, one after the other."""
    added = vectors[0]
    for vector in vectors[1:]:
        added = added + vector
    return added


def agree(vectors: np.ndarray) -> np.ndarray:
    """Whether all rows have one sign, and none is zero."""
    return np.abs(np.sign(vectors).astype(int).sum(axis=0)) == len(vectors)


def uniform(vectors: np.ndarray, **_) -> np.ndarray:
    """The mean."""
    return total(vectors) / vectors.dtype.type(len(vectors))


def negmerge(vectors: np.ndarray, operation: str) -> np.ndarray:
    """The mean, or another middle, where all agree."""
    sign, size = np.sign(vectors[0]), np.abs(vectors)
    middle = {
        "mean": lambda: uniform(vectors),
        "sum": lambda: total(vectors),
        "largest": lambda: sign * size.max(axis=0),
        "smallest": lambda: sign * size.min(axis=0),
        "median": lambda: np.median(vectors, axis=0),
    }
    return np.where(agree(vectors), middle[operation](), 0)


def magmax(vectors: np.ndarray) -> np.ndarray:
    """The number of largest magnitude; of equal ones the last."""
    last = len(vectors) - 1 - np.abs(vectors[::-1]).argmax(axis=0)
    return np.take_along_axis(vectors, last[None], axis=0)[0]


def ties(vectors: np.ndarray, density: float, reduce: str, **_) -> np.ndarray:
    """TIES-Merging: trim, elect a sign, merge what has it.

    Of n numbers the m = n - int(n x density) smallest are the limit: what is at least as large as
    the m-th smallest stays. A sum of 0 elects the majority of all elected signs; if that is 0 too,
    mean and sum take the negative numbers, and max gives 0.
    """
    smaller, trimmed = vectors.shape[1] - int(vectors.shape[1] * density), vectors
    if smaller:
        limits = np.sort(np.abs(vectors), axis=1)[:, smaller - 1]
        trimmed = np.where(np.abs(vectors) >= limits[:, None], vectors, 0)
    elected = np.sign(total(trimmed))
    elected[elected == 0] = np.sign(np.sign(elected).sum())
    agreeing = np.where(elected > 0, trimmed > 0, trimmed < 0)
    kept = np.where(agreeing, trimmed, 0)
    if reduce == "max":
        return elected * np.abs(kept).max(axis=0)
    divisor = np.maximum(agreeing.sum(axis=0), 1) if reduce == "mean" else 1
    return total(kept) / np.asarray(divisor).astype(vectors.dtype)


FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "uniform": uniform,
    "mean-best": uniform,
    "negmerge": negmerge,
    "conflict": lambda vectors: np.where(agree(vectors), 0, uniform(vectors)),
    "magmax": magmax,
    "masked-single": lambda vectors, single: np.where(agree(vectors), vectors[single - 1], 0),
    "ties": ties,
}
