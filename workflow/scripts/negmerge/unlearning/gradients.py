"""Gradients of a model that is not trained: those of the mean cross-entropy of each batch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from negmerge.unlearning.registry import Batch


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
    model: nn.Module, batches: Iterable[Batch]
) -> Iterator[tuple[int, dict[str, Tensor]]]:
    """Yield each batch's size, and the gradient of its mean cross-entropy in evaluation mode.

    Neither the `grad` of the parameters nor the statistics of batch normalisation change.

    Args:
        model: from images to logits (n, classes).
        batches: images and labels; moved to where the model is.
    """
    parameters = trainable(model)
    device = next(iter(parameters.values())).device
    for images, labels in batches:
        # Not around the whole loop: the caller may train or stop between two batches.
        with evaluating(model):
            loss = cross_entropy(model(images.to(device)), labels.to(device))
        # A parameter that the logits do not depend on has a gradient of zeros.
        found = torch.autograd.grad(loss, [*parameters.values()], materialize_grads=True)
        yield len(images), dict(zip(parameters, found, strict=True))
