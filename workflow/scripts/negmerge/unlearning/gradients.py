"""Gradients of a model that is not trained: those of the mean loss of each batch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from negmerge.evaluation.accuracy import Batch, Loss


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and each of its modules back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """List the parameters that require a gradient, in the model's order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def batch_gradients(
    model: nn.Module, batches: Iterable[Batch], loss: Loss | None = None
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield each batch's size, and the gradient of its mean loss in evaluation mode.

    Neither the `grad` of the parameters nor the statistics of batch normalisation change.

    Args:
        model: from images to logits (n, classes), or what `loss` calls.
        batches: images and labels, or what `loss` takes; moved to where the model is.
        loss: of the members of a batch, the mean over it; None: cross-entropy.
    """
    of_batch = loss or (lambda images, labels: cross_entropy(model(images), labels))
    parameters = trainable(model)
    device = next(iter(parameters.values())).device
    for inputs, labels in batches:
        # Not around the whole loop: the caller may train or stop between two batches.
        with evaluating(model):
            found = of_batch(inputs.to(device), labels.to(device))
        # A parameter that the logits do not depend on has a gradient of zeros.
        slopes = torch.autograd.grad(found, [*parameters.values()], materialize_grads=True)
        yield len(inputs), dict(zip(parameters, slopes, strict=True))


def one_by_one(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the items of batches as batches of one."""
    for inputs, labels in batches:
        yield from zip(inputs.split(1), labels.split(1), strict=True)
