"""Top-1 accuracy of a network."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.evaluation.counts import Accuracy
from negmerge.evaluation.objective import Batch, Loss, Outputs


def predict(network: nn.Module, head: Tensor | None, images: Tensor) -> Tensor:
    """Compute the logits (n, classes) of images (n, 3, size, size)."""
    found = network(images)
    return found if head is None else found @ head.T


@dataclass(frozen=True)
class Classification:
    """`objective.Objective` of images and classes; networks give logits, or features for a head."""

    head: Tensor | None  # as for `predict`
    device: torch.device  # where the network is

    def loss(self, network: nn.Module, label_smoothing: float) -> Loss:
        """Make the cross-entropy, the mean over the batch."""

        def cross_entropy(images: Tensor, labels: Tensor) -> Tensor:
            logits = predict(network, self.head, images)
            return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)

        return cross_entropy

    def outputs(self, network: nn.Module, batch: Batch) -> Outputs:
        """Compute logits (n, classes), and give the labels (n,) back."""
        images, labels = batch
        return predict(network, self.head, images.to(self.device)).cpu(), labels

    def scores(self, outputs: Outputs) -> Tensor:
        """Return which answers are right; of equal logits the first is the answer."""
        logits, labels = outputs
        return logits.argmax(dim=1) == labels

    def confidence(self, outputs: Outputs) -> Tensor:
        """Return the softmax probability of the true class."""
        logits, labels = outputs
        return logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]

    def classes(self, outputs: Outputs) -> int:
        """Count the logits of an image."""
        return outputs[0].shape[1]


@torch.no_grad()
def accuracy(
    network: nn.Module,
    head: Tensor | None,
    batches: Iterable[Batch],
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
