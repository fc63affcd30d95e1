"""Which tokens of a text count: those of its answer, by their labels (n, width)."""

import torch
from torch import Tensor

# The label of tokens that carry no loss; torch's cross-entropy leaves it out by default.
WITHOUT_LOSS = -100
# Texts pass in parts of so many where each further pass saves more padding than that, in tokens.
PART, WORTH_A_PASS = 8, 256


def without_padding(ids: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Cut off what follows the longest answer of a batch."""
    counts = (labels != WITHOUT_LOSS).flatten(0, -2).any(dim=0)
    width = int(counts.nonzero().max()) + 1
    return ids[..., :width], labels[..., :width]


def alike(labels: Tensor) -> list[Tensor]:
    """Part the texts of a batch into those of about the same length, if that saves padding.

    On a CPU, where a pass takes as long as it has tokens. On a GPU a batch passes whole.
    """
    whole = torch.arange(len(labels), device=labels.device)
    if labels.is_cuda:
        return [whole]
    places = torch.arange(1, labels.shape[1] + 1)
    lengths = ((labels != WITHOUT_LOSS) * places).amax(dim=1)
    parts = [part.sort().values for part in lengths.argsort(stable=True).split(PART)]
    needed = sum(len(part) * int(lengths[part].max()) for part in parts)
    saved = len(labels) * int(lengths.max()) - needed
    return parts if saved > WORTH_A_PASS * (len(parts) - 1) else [whole]
