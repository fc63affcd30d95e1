"""Where two states on disk differ."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.stored import StoredState

PART = 2**18


@dataclass
class Difference:
    """How the numbers of two tensors differ."""

    numbers: int = 0
    different: int = 0
    largest: float = 0.0
    total: float = 0.0

    def add(self, other: "Difference") -> None:
        """Add another part of the model."""
        self.numbers += other.numbers
        self.different += other.different
        self.largest = max(self.largest, other.largest)
        self.total += other.total

    def summary(self) -> dict[str, float]:
        """Return the counts, and the largest and mean absolute difference."""
        mean = self.total / max(self.numbers, 1)
        counts = {"numbers": self.numbers, "different": self.different}
        return counts | {"largest": self.largest, "mean": mean}


def diff_files(
    one: str | Path, other: str | Path, *, key: str | None = None, progress: bool = False
) -> dict:
    """Compare two states number by number, block by block.

    Numbers are compared by value: -0 equals +0, and 1 in float16 equals 1 in float32, though the
    dtypes are listed as a difference. How far they differ is computed in float64.

    Args:
        one: a state; see `open_state`.
        other: another.
        key: as in `open_state`, for both.
        progress: show a bar on standard error.

    Returns:
        `notes`, lines on how the states were read; `equal`; `only_first` and `only_second`
        (names), `shapes` and `dtypes` (name -> both) that differ; `all` and, for each tensor that
        both have in one shape, `tensors` with `numbers`, `different`, `largest` and `mean`
        (absolute difference).

    Raises:
        UserError: a file that is missing, truncated or foreign, or holds NaN or infinity.
    """
    states = open_state(one, key), open_state(other, key)
    first, second = states
    common = sorted(set(first.names) & set(second.names))
    shapes = _unequal({name: [list(state.shape(name)) for state in states] for name in common})
    dtypes = _unequal({name: [str(state.dtype(name)) for state in states] for name in common})
    sizes = {name: math.prod(first.shape(name)) for name in common if name not in shapes}
    tensors = {}
    whole = Difference()
    total = sum(sizes.values())
    with tqdm(
        total=total, desc="diff", unit=" numbers", unit_scale=True, disable=not progress
    ) as bar:
        for name, size in sizes.items():
            found = Difference()
            for part in _differences(first, second, name, size):
                found.add(part)
                bar.update(part.numbers)
            whole.add(found)
            tensors[name] = found.summary()
    only = [sorted(set(a.names) - set(b.names)) for a, b in (states, states[::-1])]
    return {
        "notes": [note for state in states for note in state.notes],
        "equal": not (whole.different or shapes or dtypes or any(only)),
        "only_first": only[0],
        "only_second": only[1],
        "shapes": shapes,
        "dtypes": dtypes,
        "tensors": tensors,
        "all": whole.summary(),
    }


def describe(report: dict) -> Iterator[str]:
    """Yield a report of `diff_files` as lines for people."""
    yield from report["notes"]
    for name in report["only_first"]:
        yield f"{name}: only in the first"
    for name in report["only_second"]:
        yield f"{name}: only in the second"
    for name, (one, other) in [*report["shapes"].items(), *report["dtypes"].items()]:
        yield f"{name}: {one} in the first, {other} in the second"
    for name, counts in report["tensors"].items():
        if counts["different"]:
            yield f"{name}: {_numbers(counts)}"
    yield f"in all: {_numbers(report['all'])}"


def _numbers(counts: Mapping[str, float]) -> str:
    return (
        f"{counts['different']:,} of {counts['numbers']:,} numbers differ, "
        f"by {counts['largest']:.3g} at most and {counts['mean']:.3g} on average"
    )


def _unequal(pairs: Mapping[str, list]) -> dict[str, list]:
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _differences(
    first: StoredState, second: StoredState, name: str, size: int
) -> Iterator[Difference]:
    """Compare one tensor part by part."""
    for start in range(0, size, PART):
        one, other = (
            require_finite(state.numbers(name, start, min(start + PART, size)), name, state.path)
            for state in (first, second)
        )
        if one.dtype != other.dtype:
            one, other = one.double(), other.double()
        different = int((one != other).sum())
        # Most parts of a comparison of copies are equal, and cost no subtraction.
        gaps = (one.double() - other.double()).abs() if different else torch.zeros(1)
        yield Difference(len(one), different, float(gaps.max()), float(gaps.sum()))
