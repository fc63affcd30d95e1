"""Relearn time: how soon an unlearned model knows the forget set again.

A model that only hides what it knew is back at once; compare it with Retrain, which learns these
images for the first time.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.data.loading import Batch
from negmerge.evaluation.accuracy import accuracy


def relearn_epochs(
    network: nn.Module,
    epochs: Iterable[Iterable[Batch]],
    forget: Iterable[Batch],
    target: int,
    learning_rate: float,
    device: torch.device,
) -> int | None:
    """Count the epochs of plain SGD on the forget set until enough of it is classified correctly.

    Args:
        network: the unlearned model, on `device`, which does not reach the target as it is; it is
            trained.
        epochs: the training batches of each epoch.
        forget: the forget images in batches, for counting.
        target: right answers to reach; the original model's.
        learning_rate: of plain SGD.
        device: where to compute.

    Returns:
        At least 1; None if the model does not reach the target within these epochs.
    """
    parameters = list(network.parameters())
    for number, batches in enumerate(epochs, 1):
        network.train()
        for images, labels in batches:
            loss = functional.cross_entropy(network(images.to(device)), labels.to(device))
            _step(parameters, torch.autograd.grad(loss, parameters), learning_rate)
        if accuracy(network, None, forget, device).correct >= target:
            return number
    return None


@torch.no_grad()
def _step(parameters: Sequence[Tensor], gradients: Sequence[Tensor], learning_rate: float) -> None:
    """Take a step of plain SGD; the first optimizer of torch's that is built takes a second."""
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.add_(gradient, alpha=-learning_rate)
