"""Passes over a set, over both sets at once and on random labels; gradients without training."""

import copy
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Batch, Loss
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Recipe
from negmerge.training import fit
from negmerge.unlearning.core import Data, Loader


def passes(loader: Loader, count: int) -> Iterator[Batch]:
    """Yield the batches of `count` epochs, one after the other."""
    for _ in range(count):
        yield from loader


def frozen_copy(model: nn.Module) -> nn.Module:
    """Copy a model as it is, in evaluation mode and without gradients."""
    return copy.deepcopy(model).eval().requires_grad_(False)


def minus(loss: Loss) -> Loss:
    """Make the loss whose descent is an ascent of another."""

    def ascent(*batch: Tensor) -> Tensor:
        return -loss(*batch)

    return ascent


def fit_set(
    model: nn.Module, data: Data, loader: Loader, loss: Loss, recipe: Recipe, device: torch.device
) -> None:
    """Train with a loss on the batches of one set, pass after pass."""
    count = recipe.epochs * len(loader)
    fit(model, passes(loader, recipe.epochs), count, loss, recipe, device, seed=data.seed)


def fit_both(
    model: nn.Module,
    data: Data,
    forget_loss: Loss,
    retain_loss: Loss,
    weights: tuple[float, float],
    recipe: Recipe,
    device: torch.device,
    forget: Loader | None = None,
    epoch_of: str = "forget",
) -> None:
    """Minimise gamma * forget loss + alpha * retain loss, of a batch of each set in each step.

    `weights` are gamma and alpha; `epoch_of` names the set that an epoch is a pass over. The
    batches of the other set are taken as they come, pass after pass. They go through the model one
    after the other, the retained ones first, so batch normalisation does not mix them. With an
    alpha of 0 and epochs of the forget set, the retain set is not read. `forget` stands in for the
    forget set of `data`. An empty set is a UserError.
    """
    forget, (gamma, alpha) = data.forget if forget is None else forget, weights
    if not len(forget):
        raise UserError("unlearning: the forget set is empty")
    if epoch_of == "forget" and not alpha:
        fit_set(model, data, forget, lambda *batch: gamma * forget_loss(*batch), recipe, device)
        return
    if not len(data.retain):
        raise UserError("unlearning: the retain set is empty")

    def loss(*members: Tensor) -> Tensor:
        retained, forgotten = retain_loss(*members[:2]), forget_loss(*members[2:])
        return alpha * retained + gamma * forgotten

    whole, other = (data.retain, forget) if epoch_of == "retain" else (forget, data.retain)
    pairs: Iterable = zip(passes(whole, recipe.epochs), _endless(other), strict=False)
    if epoch_of == "forget":
        pairs = ((retain, own) for own, retain in pairs)
    batches = ((*retain, *own) for retain, own in pairs)
    fit(model, batches, recipe.epochs * len(whole), loss, recipe, device, seed=data.seed)


def _endless(loader: Loader) -> Iterator[Batch]:
    while True:
        yield from loader


def with_random_labels(
    batches: Iterable[Batch], classes: int, seed: int, epoch: int
) -> Iterator[Batch]:
    """Replace labels by draws from all classes with equal chances, the true one included.

    Seed and epoch decide the draws, so each epoch has its own.
    """
    # On the CPU, so that every device gets the same labels.
    generator = torch.Generator().manual_seed(derive_seed(seed, f"random-labels/{epoch}"))
    for images, labels in batches:
        yield images, torch.randint(classes, labels.shape, generator=generator)


def train_on_random_labels(
    model: nn.Module,
    data: Data,
    retain: bool,
    recipe: Recipe,
    device: torch.device,
    after_step: Callable[[Optimizer], None] | None = None,
) -> None:
    """Train on random labels for the forget set and on the true ones for the retain set.

    An epoch is a pass over the forget set and then, with `retain`, one over the retain set, as in
    OPTML-Group/Unlearn-Saliency for CIFAR-10 and SVHN. (For CIFAR-100 and Tiny ImageNet it shuffles
    both into one pass; that is not offered.) One optimizer serves all passes.
    """

    def batches() -> Iterator[Batch]:
        for epoch in range(recipe.epochs):
            yield from with_random_labels(data.forget, data.classes, data.seed, epoch)
            if retain:
                yield from data.retain

    count = recipe.epochs * (len(data.forget) + (len(data.retain) if retain else 0))
    loss = data.objective.loss(model, recipe.label_smoothing)
    fit(model, batches(), count, loss, recipe, device, after_step=after_step, seed=data.seed)


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

    Neither the `grad` of the parameters nor the statistics of batch normalisation change. Without
    a `loss` of the members of a batch it is the cross-entropy of logits (n, classes).
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
