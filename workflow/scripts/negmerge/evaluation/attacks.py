"""Membership attacks on language models, on arrays: does what was forgotten still look seen?

Each attack gives an answer a score, higher for one that looks new; the losses by themselves are the
scores of the attack `loss`.
"""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import UserError
from negmerge.evaluation.language import TINY, numbers
from negmerge.evaluation.uncertainty import RESAMPLES, bootstrap_means

# The share of an answer's tokens that min-k looks at, in open-unlearning.
LOWEST_SHARE = 0.4
# The smallest variance by which min-k++ divides, likewise.
LEAST_VARIANCE = 1e-6


def zlib_scores(losses: ArrayLike, answers: Sequence[str]) -> np.ndarray:
    """Compute L / the bytes of the compressed answer, (n,): what is improbable for its length.

    Carlini et al. (2021). Of (n,) mean losses per token, and n texts; the bytes are those of
    zlib.compress on the answer in UTF-8. Lists of unlike length are a UserError.
    """
    values = numbers(losses, "losses of answers")
    if len(values) != len(answers):
        raise UserError(
            f"attack zlib: {len(answers)} answers, expected {len(values)}, one per loss"
        )
    return values / np.array([len(zlib.compress(answer.encode())) for answer in answers])


def min_k_scores(log_probs: Sequence[ArrayLike], share: float = LOWEST_SHARE) -> np.ndarray:
    """Compute minus the mean of the lowest log-probabilities of each answer: (n,) float64.

    Shi et al. (ICLR 2024). Of an answer's (tokens,) log-probabilities in nats, without its end, the
    lowest max(1, floor(share * tokens)) count; an answer without tokens scores 0.
    """
    return np.array([_lowest(numbers(part, "log-probabilities"), share) for part in log_probs])


def min_k_plus_plus_scores(
    log_probs: Sequence[ArrayLike],
    means: Sequence[ArrayLike],
    variances: Sequence[ArrayLike],
    share: float = LOWEST_SHARE,
) -> np.ndarray:
    """Compute what `min_k_scores` does, of (log p - mean) / sqrt(variance) in place of log p.

    Zhang et al. (ICLR 2025). Mean and variance are those of log p over the vocabulary, under the
    model's own distribution at that place; a variance below 1e-6 counts as that. All three are of
    each answer (tokens,), without its end.
    """
    parts = (log_probs, means, variances)
    answers = ([numbers(answer, "log-probabilities") for answer in part] for part in parts)
    scaled = [
        (values - mean) / np.sqrt(np.maximum(variance, LEAST_VARIANCE))
        for values, mean, variance in zip(*answers, strict=True)
    ]
    return np.array([_lowest(values, share) for values in scaled])


def _lowest(values: np.ndarray, share: float) -> float:
    count = max(1, int(share * len(values)))
    return float(-np.sort(values)[:count].mean()) if len(values) else 0.0


def reference_scores(losses: ArrayLike, reference_losses: ArrayLike) -> np.ndarray:
    """Compute L - L of a reference model, such as one trained without the forget set: (n,)."""
    return numbers(losses, "losses") - numbers(reference_losses, "losses of the reference")


def membership_auc(forget_scores: ArrayLike, holdout_scores: ArrayLike) -> float:
    """Return the area under the ROC curve: how well scores tell forgotten answers from new ones.

    The share of pairs of a forgotten answer (n,) and a held-out one (m,), on which the model was
    never trained, in which the latter has the higher score; equal ones count half. 1 where all
    forgotten answers look seen, 0.5 where they look like the others. Without scores of one of the
    two it is a UserError.
    """
    return float(_above(forget_scores, holdout_scores).mean())


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


def privleak(
    auc: float | np.ndarray, reference_auc: float | np.ndarray = 0.5
) -> float | np.ndarray:
    """Return privleak: 100 * ((1 - AUC) - (1 - AUC_r)) / (1 - AUC_r + 1e-10), in percent.

    Shi et al., MUSE (ICLR 2025), whose attack is min-k. 0 is ideal; far below 0 the model still
    remembers, far above 0 the answers look stranger to it than new ones. AUC is `membership_auc` of
    the unlearned model, AUC_r that of the model that was trained without the forget set, 0.5 where
    there is none; both may be arrays.
    """
    return 100 * ((1 - auc) - (1 - reference_auc)) / (1 - reference_auc + TINY)


def privleak_error(
    scores: tuple[ArrayLike, ArrayLike],
    reference_scores: tuple[ArrayLike, ArrayLike],
    resamples: int = RESAMPLES,
) -> float:
    """Return the standard error of `privleak`, by the bootstrap over the questions.

    Forget and held-out questions are drawn anew, each set by itself, as for any statistic of two
    samples (Efron and Tibshirani 1993, chapter 8), and privleak is computed from the two areas
    under the curve of each draw. Both models answer the same questions, so their areas rise and
    fall together: the errors of the two areas alone do not give that of their ratio. `nan` where
    the reference's area is 1.
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
    for scores, name in ((forget, "forget"), (holdout, "holdout")):
        if not scores.size:
            raise UserError(f"membership attack: no scores of the {name} set, expected at least 1")
    # Compared, not subtracted: infinity equals itself.
    return (holdout[None] > forget[:, None]) + (holdout[None] == forget[:, None]) / 2
