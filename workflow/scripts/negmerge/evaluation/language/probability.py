"""How well an answer is said: its probability, how much by heart, its words, and the utility."""

from collections.abc import Sequence
from typing import Literal

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


def rouge_recall(
    truths: Sequence[str], texts: Sequence[str], kind: Literal["rougeL", "rouge1"] = "rougeL"
) -> np.ndarray:
    """Compute ROUGE recall of each text: which share of the truth's words it holds.

    ROUGE-L: the longest common subsequence of words / the number of the truth's words; ROUGE-1:
    the words in common, in any order (Lin 2004). By the package rouge-score with its stemmer, as in
    open-unlearning. Case and punctuation do not count. A truth without words has a recall of 0.

    Args:
        truths: n true answers.
        texts: n generated ones, in the same order, without the mark of their end.
        kind: which recall.

    Returns:
        (n,) float64, 0..1.

    Raises:
        UserError: lists of unlike length, or rouge-score is not installed.
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


def model_utility(parts: Sequence[float]) -> float:
    """Return the harmonic mean of the parts; one part of 0 makes it 0.

    TOFU's nine parts: probability, ROUGE-L recall and truth ratio (kind `retain`) of the retain
    set, of real authors and of world facts, where the last two have normalised probabilities. No
    number of the forget set is among them.

    Args:
        parts: each 0..1.

    Raises:
        NotFinite: a part is NaN.
        UserError: there is none, or one is below 0.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import hmean

    found = numbers(parts, "parts of model utility")
    if not found.size or found.min() < 0:
        raise UserError(f"model utility of {found.tolist()}, expected at least 1 part, each 0..1")
    return float(hmean(found))


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
