"""The truth ratio: how much more probable wrong answers are than a paraphrase of the right one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import find
from negmerge.evaluation.language.arrays import TINY, mean, numbers, rows

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
