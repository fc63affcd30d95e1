"""Standard errors of numbers that are no means: what other questions of the kind would have given.

A mean over questions has its standard deviation / sqrt(n); forget quality is a test by itself, with
few values, see `quality.forget_quality_at`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.evaluation.language.arrays import numbers
from negmerge.evaluation.uncertainty import RESAMPLES, bootstrap_means


def utility_error(sets: Sequence[ArrayLike], resamples: int = RESAMPLES) -> float:
    """Return the standard error of model utility, by the bootstrap over each set's questions.

    Args:
        sets: for each set of questions (n, parts): what its parts of the utility are the means of.
        resamples: how often.

    Returns:
        The standard deviation of the resampled utilities; always the same draws.

    Raises:
        NotFinite: a value is NaN.
    """
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

    Args:
        forget_scores: (n,) of an attack.
        holdout_scores: (m,).

    Returns:
        0..0.5; 0 where a set has a single answer, of which no spread is known.

    Raises:
        NotFinite: a score is NaN.
    """
    forget, holdout = numbers(forget_scores, "scores"), numbers(holdout_scores, "scores")
    if min(len(forget), len(holdout)) < 2:
        return 0.0
    # Compared, not subtracted: infinity equals itself.
    above = (holdout[None] > forget[:, None]) + (holdout[None] == forget[:, None]) / 2
    sides = (above.mean(axis=1), above.mean(axis=0))
    return float(np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides)))
