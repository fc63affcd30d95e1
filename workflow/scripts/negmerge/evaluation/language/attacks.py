"""Membership attacks on language models: does what was forgotten still look seen?

Each attack gives an answer a score, higher for one that looks new; `membership_auc` says how well
it tells the forget set from questions that no model has seen.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import UserError
from negmerge.evaluation.language.probability import TINY, numbers

# The share of an answer's tokens that min-k looks at, in open-unlearning.
LOWEST_SHARE = 0.4
# The smallest variance by which min-k++ divides, likewise.
LEAST_VARIANCE = 1e-6


def zlib_scores(losses: ArrayLike, answers: Sequence[str]) -> np.ndarray:
    """Compute L / the bytes of the compressed answer: what is improbable for its length.

    Carlini et al. (2021). The bytes are those of zlib.compress on the answer in UTF-8.

    Args:
        losses: (n,) mean losses per token; by themselves they are the scores of the attack `loss`.
        answers: the n texts.

    Returns:
        (n,) float64.

    Raises:
        NotFinite: a loss is NaN.
        UserError: lists of unlike length.
    """
    found = numbers(losses, "losses of answers")
    if len(found) != len(answers):
        raise UserError(f"attack zlib: {len(answers)} answers, expected {len(found)}, one per loss")
    return found / np.array([len(zlib.compress(answer.encode())) for answer in answers])


def min_k_scores(log_probs: Sequence[ArrayLike], share: float = LOWEST_SHARE) -> np.ndarray:
    """Compute minus the mean of the lowest log-probabilities of each answer.

    Shi et al. (ICLR 2024). Of n tokens the lowest max(1, floor(share * n)) count; an answer without
    tokens scores 0.

    Args:
        log_probs: of each answer (tokens,) in nats, without the end of the answer.
        share: which share of the tokens counts.

    Returns:
        (n,) float64.

    Raises:
        NotFinite: a log-probability is NaN.
    """
    return np.array([_lowest(numbers(one, "log-probabilities"), share) for one in log_probs])


def min_k_plus_plus_scores(
    log_probs: Sequence[ArrayLike],
    means: Sequence[ArrayLike],
    variances: Sequence[ArrayLike],
    share: float = LOWEST_SHARE,
) -> np.ndarray:
    """Compute what `min_k_scores` does, of (log p - mean) / sqrt(variance) in place of log p.

    Zhang et al. (ICLR 2025). Mean and variance are those of log p over the vocabulary, under the
    model's own distribution at that place; a variance below 1e-6 counts as that.

    Args:
        log_probs: of each answer (tokens,) in nats, without the end of the answer.
        means: likewise.
        variances: likewise.
        share: which share of the tokens counts.

    Returns:
        (n,) float64.

    Raises:
        NotFinite: a value is NaN.
    """
    parts = (log_probs, means, variances)
    named = [[numbers(one, "log-probabilities") for one in part] for part in parts]
    scaled = [
        (values - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE))
        for values, mean, variance in zip(*named, strict=True)
    ]
    return np.array([_lowest(values, share) for values in scaled])


def reference_scores(losses: ArrayLike, reference_losses: ArrayLike) -> np.ndarray:
    """Compute L - L of a reference model, such as one that was trained without the forget set.

    Args:
        losses: (n,) mean losses per token.
        reference_losses: (n,) of the same answers.

    Raises:
        NotFinite: a loss is NaN.
    """
    return numbers(losses, "losses") - numbers(reference_losses, "losses of the reference")


def membership_auc(forget_scores: ArrayLike, holdout_scores: ArrayLike) -> float:
    """Return the area under the ROC curve: how well scores tell forgotten answers from new ones.

    The share of pairs in which the held-out answer has the higher score; equal ones count half.

    Args:
        forget_scores: (n,) of an attack on the forget set.
        holdout_scores: (m,) on questions that the model was never trained on.

    Returns:
        0..1: 1 where all forgotten answers look seen, 0.5 where they look like the others.

    Raises:
        NotFinite: a score is NaN.
        UserError: there are no scores of one of the two.
    """
    # Here, since it takes half a second to import.
    from scipy.stats import rankdata

    forget, holdout = numbers(forget_scores, "scores"), numbers(holdout_scores, "scores")
    for scores, name in ((forget, "forget"), (holdout, "holdout")):
        if not scores.size:
            raise UserError(f"membership attack: no scores of the {name} set, expected at least 1")
    n, m = len(forget), len(holdout)
    ranks = rankdata(np.concatenate([forget, holdout]))[n:]
    return float((ranks.sum() - m * (m + 1) / 2) / (n * m))


def privleak(
    auc: float | np.ndarray, reference_auc: float | np.ndarray = 0.5
) -> float | np.ndarray:
    """Return privleak: 100 * ((1 - AUC) - (1 - AUC_r)) / (1 - AUC_r + 1e-10).

    Shi et al., MUSE (ICLR 2025), whose attack is min-k. 0 is ideal; far below 0 the model still
    remembers, far above 0 the answers look stranger to it than new ones.

    Args:
        auc: `membership_auc` of the unlearned model; or an array of many.
        reference_auc: that of the model that was trained without the forget set; 0.5 where there is
            none.

    Returns:
        Percent.
    """
    return 100 * ((1 - auc) - (1 - reference_auc)) / (1 - reference_auc + TINY)


def _lowest(values: np.ndarray, share: float) -> float:
    count = max(1, int(share * len(values)))
    return float(-np.sort(values)[:count].mean()) if len(values) else 0.0
