"""How far scores, 0..1, move when a model is rounded or taught again; nan where undefined."""

import numpy as np
from numpy.typing import ArrayLike


def rounding_ratio(before: ArrayLike, after: ArrayLike) -> np.ndarray:
    """Return min(before / after, 1): how much of the score after rounding was there before it.

    0..1 float64, 1 where rounding brings nothing back; nan where both are 0. OpenUnlearning's Q
    (2506.12618, section 4.2), as code of others has it, is the inverse, min(after / before, 1), and
    so 1 where knowledge comes back; that is this function with its arguments exchanged.
    """
    before, after = np.asarray(before, np.float64), np.asarray(after, np.float64)
    return np.where((before > 0) | (after > 0), np.minimum(_over(before, after), 1), np.nan)


def relearning_ratio(
    before: ArrayLike, after: ArrayLike, never_before: ArrayLike, never_after: ArrayLike
) -> np.ndarray:
    """Return min(gain of the model that never knew / gain of the unlearned model, 1), 0..1.

    OpenUnlearning's R, as code of others has it, of scores before and after teaching both again: 1
    where the unlearned model learns no faster than one that was trained without the forget set and
    learns it for the first time; near 0 where it is back at once; nan where the unlearned model
    gains nothing, or the other one loses.
    """
    gain = np.subtract(after, before, dtype=np.float64)
    first = np.subtract(never_after, never_before, dtype=np.float64)
    return np.where((gain > 0) & (first >= 0), np.minimum(_over(first, gain), 1), np.nan)


def likeness(one: ArrayLike, other: ArrayLike) -> np.ndarray:
    """Return 1 - |one - other| / (|one| + |other|), the ratio that asks for no direction.

    Of two scores, or of two gains: 1 where they are equal, 0 where one is 0 or they have unlike
    signs.
    """
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    sizes = np.abs(one) + np.abs(other)
    return np.where(sizes > 0, 1 - _over(np.abs(one - other), sizes), np.nan)


def likeness_of_gains(
    before: ArrayLike, after: ArrayLike, never_before: ArrayLike, never_after: ArrayLike
) -> np.ndarray:
    """Return the likeness of two gains; the arguments are those of `relearning_ratio`."""
    return likeness(np.subtract(after, before), np.subtract(never_after, never_before))


def _over(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return numerator / denominator
