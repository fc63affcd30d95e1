"""How probable an answer is to a model."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.evaluation.language.arrays import TINY, numbers, rows


def answer_probability(losses: ArrayLike) -> np.ndarray:
    """Compute p = exp(-L) of each answer: the geometric mean of its tokens' probabilities.

    The number of a set of questions is the mean of it over the questions.

    Args:
        losses: (n,) mean losses per token, the end of the answer included; (n, answers) works too.

    Returns:
        float64 of the same shape, 0..1.

    Raises:
        NotFinite: a loss is NaN.
    """
    return np.exp(-numbers(losses, "losses of answers"))


def normalised_probability(
    losses: ArrayLike, wrong_losses: ArrayLike | Sequence[ArrayLike]
) -> np.ndarray:
    """Compute p / (p + sum of the wrong answers' p + 1e-10) of each question.

    For questions with a few wrong answers beside the right one: real authors and world facts.

    Args:
        losses: (n,) losses of the right answers.
        wrong_losses: (n, answers) of the wrong ones; rows may be of unlike length.

    Returns:
        (n,) float64, 0..1.

    Raises:
        NotFinite: a loss is NaN.
        UserError: a question without wrong answers, or lists of unlike length.
    """
    right = answer_probability(losses)
    wrong = rows(wrong_losses, len(right), "losses of wrong answers")
    return right / (right + np.array([np.exp(-row).sum() for row in wrong]) + TINY)
