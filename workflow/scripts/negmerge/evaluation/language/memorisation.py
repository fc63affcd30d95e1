"""How much of an answer a model would say by itself, word for word."""

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import UserError


def exact_memorisation(predicted: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the share of an answer's tokens that are the most probable after those before them.

    Tirumala et al. (2022).

    Args:
        predicted: (n,) the most probable token at each place, given the true tokens before it.
        labels: (n,) the true tokens, without the end of the answer.

    Returns:
        0..1; None of an answer without tokens, which means over questions leave out.

    Raises:
        UserError: the shapes differ.
    """
    right = _right(predicted, labels)
    return float(right.mean()) if right.size else None


def extraction_strength(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Return 1 - k / n, where the model says all by itself from token k on, and k is the smallest.

    Carlini et al. (2021), as open-unlearning computes it: its loop ends at k = n - 1, so even an
    answer of which no token is right has 1 / n, never 0. An answer without tokens has 0.

    Args:
        predicted: (n,) the most probable token at each place, given the true tokens before it.
        labels: (n,) the true tokens, without the end of the answer.

    Returns:
        0..1, and at least 1 / n.

    Raises:
        UserError: the shapes differ.
    """
    right = _right(predicted, labels)
    if not right.size:
        return 0.0
    wrong = np.flatnonzero(~right)
    start = int(wrong[-1]) + 1 if wrong.size else 0
    return 1 - min(start, right.size - 1) / right.size


def _right(predicted: ArrayLike, labels: ArrayLike) -> np.ndarray:
    found, truth = np.asarray(predicted), np.asarray(labels)
    if found.ndim != 1 or found.shape != truth.shape:
        raise UserError(
            f"memorisation: predicted tokens {list(found.shape)} and true ones "
            f"{list(truth.shape)}, expected [n] of both"
        )
    return found == truth
