"""Standard errors of numbers that are no means: what other questions of the kind would have given.

A mean over questions has its standard deviation / sqrt(n); forget quality is a test by itself, with
few values, see `truth.forget_quality_at`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.evaluation.language.attacks import privleak
from negmerge.evaluation.language.probability import TINY, numbers
from negmerge.evaluation.uncertainty import RESAMPLES, bootstrap_means


def utility_error(sets: Sequence[ArrayLike], resamples: int = RESAMPLES) -> float:
    """Return the standard error of model utility, by the bootstrap over each set's questions."""
    generator = np.random.default_rng(0)
    values = [numbers(part, "parts of model utility") for part in sets]
    means = np.hstack([bootstrap_means(part, generator, resamples) for part in values])
    # As scipy's harmonic mean, of each row: 0 where a part is 0.
    with np.errstate(divide="ignore"):
        return float((means.shape[1] / (1 / means).sum(axis=1)).std(ddof=1))


def membership_auc_error(forget_scores: ArrayLike, holdout_scores: ArrayLike) -> float:
    """Return the standard error of `membership_auc`, as DeLong et al. (1988) estimate it.

    sqrt(var V / n + var W / m), where V is, for each forgotten answer, the share of held-out ones
    with higher scores (equal ones count half), and W likewise for each held-out answer.
    """
    above = _above(forget_scores, holdout_scores)
    if min(above.shape) < 2:
        return 0.0
    sides = (above.mean(axis=1), above.mean(axis=0))
    return float(np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides)))


def privleak_error(
    scores: tuple[ArrayLike, ArrayLike],
    reference_scores: tuple[ArrayLike, ArrayLike],
    resamples: int = RESAMPLES,
) -> float:
    """Return the standard error of `privleak`, by the bootstrap over the questions.

    Forget and held-out questions are drawn anew, each set by itself, as for any statistic of two
    samples (Efron and Tibshirani 1993, chapter 8), and privleak is computed from the two areas
    under the curve of each draw. Both models answer the same questions, so their areas rise and
    fall together: the errors of the two areas alone do not give that of their ratio.
    """
    generator = np.random.default_rng(0)
    above = np.hstack([_above(*sides) for sides in (scores, reference_scores)])
    # For each draw of forget questions: the share of them below each held-out one, of both models.
    shares = bootstrap_means(above, generator, resamples)
    # And how large a part of a draw of held-out questions each of them is.
    parts = bootstrap_means(np.eye(above.shape[1] // 2), generator, resamples)
    area, reference = ((half * parts).sum(axis=1) for half in np.hsplit(shares, 2))
    if (reference >= 1 - TINY).any():
        return float("nan")
    return float(privleak(area, reference).std(ddof=1))


def _above(forget_scores: ArrayLike, holdout_scores: ArrayLike) -> np.ndarray:
    """Return (n, m): 1 where the held-out answer has the higher score, 0.5 where they are equal."""
    forget, holdout = numbers(forget_scores, "scores"), numbers(holdout_scores, "scores")
    # Compared, not subtracted: infinity equals itself.
    return (holdout[None] > forget[:, None]) + (holdout[None] == forget[:, None]) / 2
