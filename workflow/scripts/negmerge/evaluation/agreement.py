"""How well a classifier's predictions agree among images with alike features, without labels."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from negmerge.errors import UserError
from negmerge.models.classifiers import last_linear

# The score of a classifier that predicts fewer than two classes often enough, less what is missing.
TOO_FEW_CLASSES = -1e6
# Items whose distances to all others are computed at a time.
BLOCK = 1000


@contextmanager
def features_seen(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what the layer that gives the logits gets, (n, numbers) of each batch, on the CPU."""
    seen: list[Tensor] = []
    _, head = last_linear(model)
    handle = head.register_forward_pre_hook(lambda _, given: seen.append(given[0].detach().cpu()))
    try:
        yield seen
    finally:
        handle.remove()


def neighbour_agreement(features: ArrayLike, logits: ArrayLike) -> float:
    """Score a classifier on n items of which no label is known; higher is better.

    The score of CUTS (arXiv 2511.18660; mosix11/CUTS, estimate_alpha.py), there with every
    coefficient of a task vector for noisy labels; that it chooses for a forget set is this
    project's use. With K classes it is (A - q) / (1 - q) - max(0, K - 1 / q) / K - (K - S) / K:

    - A is the share of the k = n // (2 K) nearest neighbours, at least 1, of all items that have
      the item's predicted class;
    - q is the sum of the squared mean probabilities;
    - S is the number of classes predicted for at least min(k + 1, max(3, k)) items. With S < 2 the
      score is -1e6 - (2 - S).

    Args:
        features: (n, numbers), of any scale; nearest are those at the least angle.
        logits: (n, K), in the same order; K >= 2. The first largest is the predicted class.

    Fewer than two items, other shapes, NaN or an infinity are a UserError.
    """
    points, scores = (np.asarray(given, dtype=np.float64) for given in (features, logits))
    if points.ndim != 2 or scores.ndim != 2 or len(points) != len(scores) or len(points) < 2:
        raise UserError(
            f"agreement: features {list(points.shape)} and logits {list(scores.shape)}, expected "
            "[n, numbers] and [n, classes] of n >= 2 items"
        )
    if not (np.isfinite(points).all() and np.isfinite(scores).all()):
        raise UserError("agreement: a feature or logit is NaN or infinite")
    (n, classes), predicted = scores.shape, scores.argmax(axis=1)
    neighbours = max(1, n // (2 * classes))
    enough = min(neighbours + 1, max(3, neighbours))
    supported = int((np.bincount(predicted, minlength=classes) >= enough).sum())
    if supported < 2:
        return TOO_FEW_CLASSES - (2 - supported)
    agreeing = predicted[_nearest(points, neighbours)] == predicted[:, None]
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    chance = float(((powers / powers.sum(axis=1, keepdims=True)).mean(axis=0) ** 2).sum())
    corrected = (float(agreeing.mean()) - chance) / max(1e-8, 1 - chance)
    return corrected - max(0.0, classes - 1 / chance) / classes - (classes - supported) / classes


def _nearest(points: np.ndarray, count: int) -> np.ndarray:
    """Return the places of each item's nearest neighbours, (n, count), without the item."""
    lengths = np.linalg.norm(points, axis=1, keepdims=True)
    unit = torch.from_numpy(points / np.maximum(lengths, 1e-12))
    nearest = []
    for start in range(0, len(unit), BLOCK):
        cosines = unit[start : start + BLOCK] @ unit.T
        cosines[torch.arange(len(cosines)), torch.arange(start, start + len(cosines))] = -2.0
        nearest.append(cosines.topk(count, dim=1).indices)
    return torch.cat(nearest).numpy()
