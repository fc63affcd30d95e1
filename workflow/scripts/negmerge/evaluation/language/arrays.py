"""Arrays that a metric takes, checked: nothing that is not a number is averaged away."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import NotFinite, UserError

# What open-unlearning adds to denominators that may be 0.
TINY = 1e-10


def numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Return numbers as float64; infinity is one, as the loss of an impossible answer."""
    found = np.asarray(values, np.float64)
    missing = int(np.isnan(found).sum())
    if missing:
        raise NotFinite(f"{name}: {missing} of {found.size} are NaN, expected numbers")
    return found


def rows(values: ArrayLike | Sequence[ArrayLike], n: int, name: str) -> list[np.ndarray]:
    """Return the numbers of each of n items, which may have unlike many but at least one."""
    found = [numbers(row, name) for row in values]
    if len(found) != n:
        raise UserError(f"{name}: {len(found)} items, expected {n}")
    for place, row in enumerate(found):
        if row.ndim != 1 or not row.size:
            raise UserError(
                f"{name}: item {place} has shape {list(row.shape)}, expected [1 or more]"
            )
    return found


def mean(values: ArrayLike, name: str) -> float:
    """Return the mean over items."""
    found = numbers(values, name)
    if not found.size:
        raise UserError(f"{name}: no items, expected at least 1")
    return float(found.mean())
