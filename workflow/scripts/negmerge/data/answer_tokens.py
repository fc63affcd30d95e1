"""Which tokens of a text count: those of its answer, by their labels (n, width)."""

from torch import Tensor

# The label of tokens that carry no loss; torch's cross-entropy leaves it out by default.
WITHOUT_LOSS = -100


def without_padding(ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cut off what follows the longest answer of a batch.

    Args:
        ids: (..., width), padded on the right.
        labels: likewise; those of an answer, which ends its text, are not `WITHOUT_LOSS`.
    """
    counts = (labels != WITHOUT_LOSS).flatten(0, -2).any(dim=0)
    width = int(counts.nonzero().max()) + 1
    return ids[..., :width], labels[..., :width]
