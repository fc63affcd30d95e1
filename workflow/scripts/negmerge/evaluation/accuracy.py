"""Top-1 accuracy of an image encoder under a zero-shot head."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Accuracy:
    """How many of n images were classified rightly."""

    correct: int
    n: int


@torch.no_grad()
def accuracy(
    encoder: nn.Module,
    head: Tensor,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Accuracy:
    """Count the right answers of encoder(images) @ head.T.

    Among equal logits the first class is the answer.

    Args:
        encoder: from images (n, 3, size, size) to features (n, dimensions); put into eval mode.
        head: (classes, dimensions), on `device`.
        batches: images and labels.
        device: where to compute.
    """
    encoder.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    n = 0
    for images, labels in batches:
        logits = encoder(images.to(device, non_blocking=True)) @ head.T
        correct += (logits.argmax(dim=1) == labels.to(device, non_blocking=True)).sum()
        n += len(labels)
    return Accuracy(int(correct), n)
