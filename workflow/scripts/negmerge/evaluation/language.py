"""Metrics of language models that forget, on arrays: TOFU's, as open-unlearning has them.

Maini et al., TOFU (COLM 2024), and locuslab/open-unlearning at d3d7cf9. A loss is the mean over the
tokens of an answer, its end included, of minus the log-probability in nats. A number that is NaN is
an error, `NotFinite`; infinity is a number, as the loss of an impossible answer.
"""

import math
import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import NotFinite, UserError, find
from negmerge.evaluation.uncertainty import RESAMPLES, bootstrap_means

# What open-unlearning adds to denominators that may be 0.
TINY = 1e-10

Kind = Literal["forget", "retain"]


def numbers(values: ArrayLike, name: str) -> np.ndarray:
    """Return values as float64; one that is NaN is an error, which calls them `name`."""
    array = np.asarray(values, np.float64)
    missing = int(np.isnan(array).sum())
    if missing:
        raise NotFinite(f"{name}: {missing} of {array.size} are NaN, expected numbers")
    return array


def _rows(values: ArrayLike | Sequence[ArrayLike], n: int, name: str) -> list[np.ndarray]:
    """Return the numbers of each of n items, which may have unlike many but at least one."""
    rows = [numbers(row, name) for row in values]
    if len(rows) != n:
        raise UserError(f"{name}: {len(rows)} items, expected {n}")
    for place, row in enumerate(rows):
        if row.ndim != 1 or not row.size:
            raise UserError(
                f"{name}: item {place} has shape {list(row.shape)}, expected [1 or more]"
            )
    return rows


def answer_probability(losses: ArrayLike) -> np.ndarray:
    """Compute p = exp(-L), 0..1, of mean losses L per token, the end of the answer included.

    The geometric mean of the tokens' probabilities; float64 of the same shape, (n,) or (n,
    answers). The number of a set of questions is the mean over the questions.
    """
    return np.exp(-numbers(losses, "losses of answers"))


def normalised_probability(
    losses: ArrayLike, wrong_losses: ArrayLike | Sequence[ArrayLike]
) -> np.ndarray:
    """Compute p / (p + sum of the wrong answers' p + 1e-10) of each question: (n,) float64, 0..1.

    For questions with a few wrong answers beside the right one, real authors and world facts: (n,)
    losses of right answers, and (n, answers) of wrong ones, whose rows may be of unlike length. A
    question without wrong answers, or lists of unlike length, are a UserError.
    """
    right = answer_probability(losses)
    wrong = _rows(wrong_losses, len(right), "losses of wrong answers")
    return right / (right + np.array([np.exp(-row).sum() for row in wrong]) + TINY)


def rouge_recall(
    truths: Sequence[str], texts: Sequence[str], kind: Literal["rougeL", "rouge1"] = "rougeL"
) -> np.ndarray:
    """Compute ROUGE recall of n texts, (n,) 0..1: which share of the truth's words each holds.

    ROUGE-L: the longest common subsequence of words / the number of the truth's words; ROUGE-1:
    the words in common, in any order (Lin 2004). By the package rouge-score with its stemmer, as in
    open-unlearning. Case and punctuation do not count. A truth without words has a recall of 0.
    Texts are without the mark of their end. Lists of unlike length, and rouge-score that is not
    installed, are a UserError.
    """
    if len(truths) != len(texts):
        raise UserError(f"ROUGE: {len(texts)} texts, expected {len(truths)}, one for each truth")
    try:
        # Here, since only this metric needs it, and it loads a second's worth of others.
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise UserError(
            "ROUGE needs the package rouge-score: pip install 'negmerge[language]'"
        ) from error
    scorer = RougeScorer([kind], use_stemmer=True)
    pairs = zip(truths, texts, strict=True)
    return np.array([scorer.score(truth, text)[kind].recall for truth, text in pairs], np.float64)


def exact_memorisation(predicted: ArrayLike, labels: ArrayLike) -> float | None:
    """Return the share of an answer's tokens that are the most probable after those before them.

    Tirumala et al. (2022). `predicted` (n,) are the most probable tokens at each place, given the
    true tokens before it; `labels` (n,) the true ones, without the end of the answer. 0..1; None of
    an answer without tokens, which means over questions leave out. Unlike shapes are a UserError.
    """
    right = _right(predicted, labels)
    return float(right.mean()) if right.size else None


def extraction_strength(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Return 1 - k / n, where the model says all by itself from token k on, and k is the smallest.

    Carlini et al. (2021), as open-unlearning computes it: its loop ends at k = n - 1, so even an
    answer of which no token is right has 1 / n, never 0. An answer without tokens has 0. Arguments
    and errors are those of `exact_memorisation`.
    """
    right = _right(predicted, labels)
    if not right.size:
        return 0.0
    wrong = np.flatnonzero(~right)
    start = int(wrong[-1]) + 1 if wrong.size else 0
    return 1 - min(start, right.size - 1) / right.size


def _right(predicted: ArrayLike, labels: ArrayLike) -> np.ndarray:
    tokens, truth = np.asarray(predicted), np.asarray(labels)
    if tokens.ndim != 1 or tokens.shape != truth.shape:
        raise UserError(
            f"memorisation: predicted tokens {list(tokens.shape)} and true ones "
            f"{list(truth.shape)}, expected [n] of both"
        )
    return tokens == truth


def truth_ratios(
    paraphrased_losses: ArrayLike, perturbed_losses: ArrayLike | Sequence[ArrayLike]
) -> np.ndarray:
    """Compute r = exp(-Lw) / (exp(-Lc) + 1e-10), 0 or more, of each question: (n,) float64.

    Lc is the loss of the paraphrased right answer, (n,); real authors and world facts have no
    paraphrase, the answer itself takes its place. Lw is the arithmetic mean of the losses of the
    wrong answers, (n, answers) with rows of any length from 1, so exp(-Lw) is the geometric mean of
    their probabilities. (The script that trains in locuslab/tofu takes the arithmetic one.) A
    collapsed model, to which all answers are impossible, has a ratio near 0. A question without
    wrong answers, or lists of unlike length, are a UserError.
    """
    right = np.exp(-numbers(paraphrased_losses, "losses of paraphrased answers"))
    wrong = _rows(perturbed_losses, len(right), "losses of perturbed answers")
    return np.exp(-np.array([row.mean() for row in wrong])) / (right + TINY)


TRUTHFULNESS = {
    "forget": lambda r: np.minimum(r, 1 / (r + TINY)),
    "retain": lambda r: np.maximum(0, 1 - r),
}


def truthfulness(ratios: ArrayLike, kind: Kind) -> np.ndarray:
    """Compute what the truth ratio of a set averages, of each question: (n,) float64, 0..1.

    Of (n,) ratios r that `truth_ratios` made. `forget`: min(r, 1 / (r + 1e-10)), 1 where right and
    wrong are equally probable. `retain`: max(0, 1 - r), 1 where wrong answers are impossible; also
    for real authors and world facts. Another kind is a UserError.
    """
    return find("kind of truth ratio", kind, TRUTHFULNESS)(numbers(ratios, "truth ratios"))


def truth_ratio(ratios: ArrayLike, kind: Kind) -> float:
    """Return the truth ratio of a set, 0..1: the mean of `truthfulness` of `truth_ratios`.

    An unknown kind, or no ratio, is a UserError.
    """
    values = truthfulness(ratios, kind)
    if not values.size:
        raise UserError("truth ratios: no items, expected at least 1")
    return float(values.mean())


class ForgetQuality(NamedTuple):
    """The test of `forget_quality`."""

    p: float  # above 0 and at most 1; 1 says that the two models cannot be told apart
    distance: float  # the largest difference of the two distributions, 0..1

    @property
    def log10(self) -> float:
        """log10 of p; of one that is too small for a float, that of the smallest."""
        return math.log10(max(self.p, sys.float_info.min))


def forget_quality(ratios: ArrayLike, reference_ratios: ArrayLike) -> ForgetQuality:
    """Test whether two models' truth ratios on the forget set have the same distribution.

    `reference_ratios` (m,) are those of the model that was trained without the forget set. The
    two-sided Kolmogorov-Smirnov test of two samples, exact where scipy's automatic mode makes it so
    (up to 10,000 questions). It sees ranks only, so 1 / r gives the same as r. With few questions p
    has few values; see `forget_quality_at`. Without ratios of one of the two it is a UserError.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import ks_2samp

    samples = [numbers(part, "truth ratios") for part in (ratios, reference_ratios)]
    for sample, name in zip(samples, ("the model", "the reference"), strict=True):
        if not sample.size:
            raise UserError(f"forget quality: no truth ratios of {name}, expected at least 1")
    test = ks_2samp(*samples)
    return ForgetQuality(float(test.pvalue), float(test.statistic))


def forget_quality_at(step: int, n: int) -> ForgetQuality:
    """Return the forget quality of the distance step / n, with n questions for both models.

    It has no other values: with 40 questions a p of 0.99 is followed by 0.919, 0.766 and 0.579, and
    the smallest is 2 / C(80, 40).
    """
    ranks = np.arange(n, dtype=np.float64)
    # Moved by step - 1/2, exactly so many of the ranks lie below all others.
    return forget_quality(ranks, ranks + step - 0.5 if step else ranks)


def model_utility(parts: Sequence[float]) -> float:
    """Return the harmonic mean of the parts, each 0..1; one part of 0 makes it 0.

    TOFU's nine parts: probability, ROUGE-L recall and truth ratio (kind `retain`) of the retain
    set, of real authors and of world facts, where the last two have normalised probabilities. No
    number of the forget set is among them. No part, or one below 0, is a UserError.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import hmean

    values = numbers(parts, "parts of model utility")
    if not values.size or values.min() < 0:
        raise UserError(f"model utility of {values.tolist()}, expected at least 1 part, each 0..1")
    return float(hmean(values))


def utility_error(sets: Sequence[ArrayLike], resamples: int = RESAMPLES) -> float:
    """Return the standard error of model utility, by the bootstrap over each set's questions."""
    generator = np.random.default_rng(0)
    values = [numbers(part, "parts of model utility") for part in sets]
    means = np.hstack([bootstrap_means(part, generator, resamples) for part in values])
    # As scipy's harmonic mean, of each row: 0 where a part is 0.
    with np.errstate(divide="ignore"):
        return float((means.shape[1] / (1 / means).sum(axis=1)).std(ddof=1))
