"""Merged vectors, by the formulas of the methods' papers.

Sums run over the vectors in the order of their names, in float32; so numpy's bits must be those of
the file. What a method draws by lot is not drawn again, and only what holds of any draw compared.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from recomputation.result import Result, same_array, same_values
from recomputation.study import Study, Task, read_header, read_records, read_tensors

# Methods without a formula here.
OTHERS = "merges by other methods"
TRIALS = "trials of greedy merges"


def check(study: Study) -> Iterator[Result]:
    """Merge the task vectors anew, for each merged vector that is kept."""
    for task in study.tasks():
        for name, path in task.files("merged", "safetensors").items():
            yield from _compare(study, task, name, path)


def _compare(study: Study, task: Task, name: str, path: Path) -> Iterator[Result]:
    header, place = read_header(path), study.place(path)
    method = header["method"]
    kind = f"merges by {method}"
    if method not in (*FORMULAS, "greedy", "random-mask"):
        yield Result(OTHERS, place, left_out=f"no formula here of {method}")
        return
    if method == "ties" and (header["options"]["of"], header["options"]["numbers"]) != ("state", 0):
        yield Result(OTHERS, place, left_out="no formula here of TIES by a share of other numbers")
        return
    files = header.get("inputs") or [{"name": f"{one}.safetensors"} for one in header["accepted"]]
    names = [file["name"].removesuffix(".safetensors") for file in files]
    paths = [task.folder / "vectors" / file["name"] for file in files]
    if not all(map(Path.exists, paths)):
        yield Result(kind, place, left_out="the task vectors are not kept")
        return
    if method == "greedy":
        yield _compare_trials(header, place)
    elif names != sorted(names):
        yield Result(kind, place, f"the vectors are not in the order of their names: {names}")
    if method == "masked-single":
        yield _compare_single(task, header, place)
    merged, vectors = read_tensors(path), [read_tensors(one) for one in paths]
    if any(vector.keys() != merged.keys() for vector in vectors):
        yield Result(kind, place, "it has other tensors than the vectors")
        return
    if method == "random-mask":
        yield _compare_draw(kind, place, merged, vectors)
        return
    formula = uniform if method == "greedy" else FORMULAS[method]
    expected = formula(np.stack([flat(one) for one in vectors]), **header["options"])
    yield same_array(kind, place, flat(merged), expected)


def flat(tensors: Mapping[str, np.ndarray]) -> np.ndarray:
    """Put all tensors one after the other, in the order of their names."""
    return np.concatenate([tensors[name].ravel() for name in sorted(tensors)])


def total(vectors: np.ndarray) -> np.ndarray:
    """Add up the rows, one after the other."""
    found = vectors[0]
    for vector in vectors[1:]:
        found = found + vector
    return found


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


def conflict(vectors: np.ndarray) -> np.ndarray:
    """The mean where not all agree."""
    return np.where(agree(vectors), 0, uniform(vectors))


def magmax(vectors: np.ndarray) -> np.ndarray:
    """The number of largest magnitude; of equal ones the last."""
    last = len(vectors) - 1 - np.abs(vectors[::-1]).argmax(axis=0)
    return np.take_along_axis(vectors, last[None], axis=0)[0]


def masked_single(vectors: np.ndarray, single: int) -> np.ndarray:
    """One of the vectors where all agree."""
    return np.where(agree(vectors), vectors[single - 1], 0)


def ties(vectors: np.ndarray, density: float, reduce: str, **_) -> np.ndarray:
    """TIES-Merging: trim, elect a sign, merge what has it.

    Of n numbers the m = n - int(n x density) smallest are the limit: what is at least as large as
    the m-th smallest stays. A sum of 0 elects the majority of all elected signs; if that is 0 too,
    mean and sum take the negative numbers, and max gives 0.
    """
    smaller = vectors.shape[1] - int(vectors.shape[1] * density)
    size = np.abs(vectors)
    if smaller:
        limits = np.sort(size, axis=1)[:, smaller - 1]
        trimmed = np.where(size >= limits[:, None], vectors, 0)
    else:
        trimmed = vectors
    elected = np.sign(total(trimmed))
    elected[elected == 0] = np.sign(np.sign(elected).sum())
    agreeing = np.where(elected > 0, trimmed > 0, trimmed < 0)
    kept = np.where(agreeing, trimmed, 0)
    if reduce == "max":
        return elected * np.abs(kept).max(axis=0)
    found = total(kept)
    if reduce == "mean":
        found = found / np.maximum(agreeing.sum(axis=0), 1).astype(vectors.dtype)
    return found


FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "uniform": uniform,
    "negmerge": negmerge,
    "conflict": conflict,
    "magmax": magmax,
    "masked-single": masked_single,
    "ties": ties,
}


def _compare_draw(kind: str, place: str, merged: dict, vectors: list[dict]) -> Result:
    """Random mask: in each tensor as many numbers as agree, and each of them is the mean."""
    for name, found in merged.items():
        pool = np.stack([vector[name] for vector in vectors])
        kept, agreeing = found != 0, np.count_nonzero(agree(pool))
        if np.count_nonzero(kept) != agreeing:
            fault = f"{np.count_nonzero(kept)} numbers are kept, recomputed {agreeing}"
            return Result(kind, f"{place}: {name}", fault)
        means = same_array(kind, f"{place}: {name}", found[kept], uniform(pool)[kept])
        if means.fault:
            return means
    return Result(kind, place)


def _compare_single(task: Task, header: dict, place: str) -> Result:
    """Masked single: the vector is the one that task-arithmetic chose of the same pool."""
    kind = "vectors that masked-single masks"
    choices = [
        choice
        for name, path in task.files("selected", "json").items()
        if name.startswith("task-arithmetic")
        and (choice := read_records(path)[0])["models"] == len(header["inputs"])
    ]
    if len(choices) != 1:
        return Result(kind, place, left_out="no single choice among as many vectors")
    masked = header["inputs"][header["options"]["single"] - 1]["name"]
    expected = f"{choices[0]['vector']}.safetensors"
    return same_values(kind, place, {"vector": masked}, {"vector": expected})


def _compare_trials(header: dict, place: str) -> Result:
    """Greedy: the first vector stays, and each other that makes the mean forget more."""
    accepted, best = [], float("inf")
    for trial in header["trials"]:
        forget = trial["choice"]["forget_accuracy"]
        is_better = forget < best or (forget == best and not header["options"]["strict"])
        if is_better:
            accepted, best = [*accepted, trial["name"]], forget
    return same_values(TRIALS, place, header, {"accepted": accepted})
