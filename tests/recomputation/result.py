"""What came out of the comparisons, and what they add up to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Result:
    """One comparison."""

    kind: str  # what was compared, e.g. `task vectors`
    place: str  # of which file, and what in it
    fault: str = ""  # how the file differs from what was recomputed
    left_out: str = ""  # why nothing was compared


def same_array(kind: str, place: str, stored: np.ndarray, expected: np.ndarray) -> Result:
    """Compare two arrays bit by bit, but for the sign of a zero."""
    if stored.shape != expected.shape or stored.dtype != expected.dtype:
        found = f"{stored.dtype} {list(stored.shape)}"
        return Result(kind, place, f"{found}, recomputed {expected.dtype} {list(expected.shape)}")
    unlike = np.flatnonzero(stored != expected)
    if not unlike.size:
        return Result(kind, place)
    first = unlike[0]
    return Result(
        kind,
        place,
        f"{unlike.size} of {stored.size} numbers differ, the first is {stored.flat[first]!r}, "
        f"recomputed {expected.flat[first]!r}",
    )


def same_values(
    kind: str, place: str, stored: Mapping, expected: Mapping, tolerance: float = 0.0
) -> Result:
    """Compare the values of some keys; numbers may differ by a tolerance."""
    faults = [
        f"{key} is {stored.get(key)!r}, recomputed {value!r}"
        for key, value in expected.items()
        if not _equal(stored.get(key), value, tolerance)
    ]
    return Result(kind, place, "; ".join(faults))


def _equal(one: object, other: object, tolerance: float) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (one, other))
    return abs(one - other) <= tolerance if numbers else one == other


class Report:
    """The results of all checks; required kinds must be there, optional ones may be left out."""

    def __init__(
        self,
        results: Iterable[Result],
        required: Iterable[str] = (),
        optional: Iterable[str] = (),
    ):
        self.results = list(results)
        self._required, self._optional = list(required), set(optional)

    def compared(self, kind: str) -> int:
        """Count what was compared."""
        return sum(one.kind == kind and not one.left_out for one in self.results)

    def lines(self) -> list[str]:
        """Describe of each kind how many were compared, and how many were not, and why."""
        lines = []
        for kind in dict.fromkeys(one.kind for one in self.results):
            reasons = Counter(r.left_out for r in self.results if r.kind == kind and r.left_out)
            left_out = "".join(f"; left out {n}: {reason}" for reason, n in reasons.items())
            lines.append(f"{kind}: compared {self.compared(kind)}{left_out}")
        return lines

    def problems(self) -> list[str]:
        """List what differs, and the kinds of which the study has files and none was compared."""
        kinds = dict.fromkeys(one.kind for one in self.results if one.kind not in self._optional)
        return [
            *(f"{one.place}: {one.kind}: {one.fault}" for one in self.results if one.fault),
            *(
                f"{kind}: none was compared"
                for kind in dict.fromkeys([*self._required, *kinds])
                if not self.compared(kind)
            ),
        ]
