"""What a membership attack looks at: numbers of each image from the logits that it gets."""

import numpy as np
from numpy.typing import ArrayLike

from negmerge.errors import NotFinite, UserError

# Stands for a probability of 0 in logarithms, as in SalUn's code.
TINY = 1e-30

FEATURES = ("confidence", "correctness", "entropy", "m_entropy_official", "m_entropy", "prob")


def finite(values: np.ndarray, name: str) -> np.ndarray:
    """Return numbers if all of them are finite."""
    bad = np.count_nonzero(~np.isfinite(values))
    if bad:
        raise NotFinite(f"membership attack: {name} hold {bad} NaN or infinite of {values.size}")
    return values


def features(logits: ArrayLike, labels: ArrayLike) -> dict[str, np.ndarray]:
    """Compute what the attack can look at; p is the softmax of the logits, y the true class.

    - `confidence`: p_y.
    - `correctness`: 1 where the largest logit (the first among equals) is that of y, otherwise 0.
    - `entropy`: -sum_i p_i log p_i.
    - `m_entropy`: the modified entropy of Song and Mittal (USENIX Security 2021, equation 8),
      -(1 - p_y) log p_y - sum_{i != y} p_i log(1 - p_i).
    - `m_entropy_official`: what SalUn's code computes for it, -sum_i q_i log p_i, where q_i is
      1 - p_i for the classes that are in `labels` at all and p_i for the others. It is wrong, and
      here to compare with numbers of that code. It depends on the other images.
    - `prob`: p.
    """
    logits, labels = np.asarray(logits, dtype=np.float64), np.asarray(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        raise UserError(
            f"membership attack: logits {list(logits.shape)} and {labels.dtype} labels "
            f"{list(labels.shape)}, expected [n, classes] and whole numbers [n]"
        )
    finite(logits, "logits")
    if labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[1]:
        raise UserError(
            f"membership attack: labels {labels.min()}..{labels.max()}, expected "
            f"0..{logits.shape[1] - 1}"
        )
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    prob = powers / powers.sum(axis=1, keepdims=True)
    log_prob = np.log(np.maximum(prob, TINY))
    true = np.zeros(prob.shape, bool)
    true[np.arange(len(labels)), labels] = True
    swapped = np.where(true, 1 - prob, prob)
    log_swapped = np.where(true, log_prob, np.log(np.maximum(1 - prob, TINY)))
    return {
        "confidence": prob[true],
        "correctness": (logits.argmax(axis=1) == labels).astype(np.float64),
        "entropy": -(prob * log_prob).sum(axis=1),
        "m_entropy_official": -(np.where(true.any(axis=0), 1 - prob, prob) * log_prob).sum(axis=1),
        "m_entropy": -(swapped * log_swapped).sum(axis=1),
        "prob": prob,
    }
