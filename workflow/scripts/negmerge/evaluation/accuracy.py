"""Top-1 accuracy of a network."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from negmerge.evaluation.counts import Accuracy


def predict(network: nn.Module, head: Tensor | None, images: Tensor) -> Tensor:
    """Compute the logits (n, classes) of images (n, 3, size, size).

    Args:
        network: gives logits or, with a head, features (n, dimensions).
        head: (classes, dimensions), on the network's device; the logits are features @ head.T.
        images: on the network's device.
    """
    found = network(images)
    return found if head is None else found @ head.T


def count_right(logits: Tensor, labels: Tensor) -> Accuracy:
    """Count the right answers among logits (n, classes); of equal ones the first is the answer."""
    return Accuracy(int((logits.argmax(dim=1) == labels).sum()), len(labels))


@torch.no_grad()
def accuracy(
    network: nn.Module,
    head: Tensor | None,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> Accuracy:
    """Count the right answers. Among equal logits the first class is the answer.

    Args:
        network: as for `predict`; put into eval mode.
        head: likewise.
        batches: images and labels.
        device: where to compute.
    """
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=device)
    n = 0
    for images, labels in batches:
        logits = predict(network, head, images.to(device, non_blocking=True))
        correct += (logits.argmax(dim=1) == labels.to(device, non_blocking=True)).sum()
        n += len(labels)
    return Accuracy(int(correct), n)


@torch.no_grad()
def all_logits(
    network: nn.Module,
    head: Tensor | None,
    batches: Iterable[tuple[Tensor, Tensor]],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    """Return the logits (n, classes) and labels (n,) of all images, on the CPU.

    Args:
        network: as for `accuracy`.
        head: likewise.
        batches: likewise.
        device: likewise.
    """
    network.eval()
    found = [
        (predict(network, head, images.to(device)).cpu(), labels) for images, labels in batches
    ]
    logits, labels = zip(*found, strict=True)
    return torch.cat(logits), torch.cat(labels)
