"""Truth ratios, and forget quality: whether they could be those of a model that never knew."""

import math
import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import UserError, find
from negmerge.evaluation.language.probability import TINY, mean, numbers, rows

Kind = Literal["forget", "retain"]


def truth_ratios(
    paraphrased_losses: ArrayLike, perturbed_losses: ArrayLike | Sequence[ArrayLike]
) -> np.ndarray:
    """Compute r = exp(-Lw) / (exp(-Lc) + 1e-10) of each question.

    Lw is the arithmetic mean of the wrong answers' losses, so exp(-Lw) is the geometric mean of
    their probabilities. (The script that trains in locuslab/tofu takes the arithmetic one.) A
    collapsed model, to which all answers are impossible, has a ratio near 0.

    Args:
        paraphrased_losses: (n,) losses Lc of the paraphrased right answers; real authors and world
            facts have no paraphrase, the answer itself takes its place.
        perturbed_losses: (n, answers) of the wrong answers; rows may be of unlike length.

    Returns:
        (n,) float64, 0 or more.

    Raises:
        NotFinite: a loss is NaN.
        UserError: a question without wrong answers, or lists of unlike length.
    """
    right = np.exp(-numbers(paraphrased_losses, "losses of paraphrased answers"))
    wrong = rows(perturbed_losses, len(right), "losses of perturbed answers")
    return np.exp(-np.array([row.mean() for row in wrong])) / (right + TINY)


def truthfulness(ratios: ArrayLike, kind: Kind) -> np.ndarray:
    """Compute what the truth ratio of a set averages, of each question.

    `forget`: min(r, 1 / (r + 1e-10)), 1 where right and wrong are equally probable. `retain`:
    max(0, 1 - r), 1 where wrong answers are impossible; also for real authors and world facts.

    Args:
        ratios: (n,) of `truth_ratios`.
        kind: of the set.

    Returns:
        (n,) float64, 0..1.

    Raises:
        NotFinite: a ratio is NaN.
        UserError: an unknown kind.
    """
    return find("kind of truth ratio", kind, TRUTHFULNESS)(numbers(ratios, "truth ratios"))


def truth_ratio(ratios: ArrayLike, kind: Kind) -> float:
    """Return the truth ratio of a set: the mean of `truthfulness`, 0..1.

    Raises:
        NotFinite: a ratio is NaN.
        UserError: an unknown kind, or no ratio.
    """
    return mean(truthfulness(ratios, kind), "truth ratios")


TRUTHFULNESS = {
    "forget": lambda r: np.minimum(r, 1 / (r + TINY)),
    "retain": lambda r: np.maximum(0, 1 - r),
}


class ForgetQuality(NamedTuple):
    """What `forget_quality` finds."""

    p: float  # of the test, above 0 and at most 1; 1 says that the two cannot be told apart
    distance: float  # the largest difference of the two distributions, 0..1

    @property
    def log10(self) -> float:
        """log10 of p; of one that is too small for a float, that of the smallest."""
        return math.log10(max(self.p, sys.float_info.min))


def forget_quality(ratios: ArrayLike, reference_ratios: ArrayLike) -> ForgetQuality:
    """Test whether two models' truth ratios on the forget set have the same distribution.

    The two-sided Kolmogorov-Smirnov test of two samples, exact where scipy's automatic mode makes
    it so (up to 10,000 questions). It sees ranks only, so 1 / r gives the same as r. With few
    questions p has few values; see `forget_quality_at`.

    Args:
        ratios: (n,) of `truth_ratios`.
        reference_ratios: (m,) likewise, of the model that was trained without the forget set.

    Raises:
        NotFinite: a ratio is NaN.
        UserError: there are no ratios of one of the two.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import ks_2samp

    samples = [numbers(part, "truth ratios") for part in (ratios, reference_ratios)]
    for sample, name in zip(samples, ("the model", "the reference"), strict=True):
        if not sample.size:
            raise UserError(f"forget quality: no truth ratios of {name}, expected at least 1")
    found = ks_2samp(*samples)
    return ForgetQuality(float(found.pvalue), float(found.statistic))


def forget_quality_at(step: int, n: int) -> ForgetQuality:
    """Return the forget quality of the distance step / n, with n questions for both models.

    It has no other values: with 40 questions a p of 0.99 is followed by 0.919, 0.766 and 0.579, and
    the smallest is 2 / C(80, 40).
    """
    ranks = np.arange(n, dtype=np.float64)
    # Moved by step - 1/2, exactly so many of the ranks lie below all others.
    return forget_quality(ranks, ranks + step - 0.5 if step else ranks)
