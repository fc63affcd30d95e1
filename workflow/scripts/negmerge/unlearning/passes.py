"""What methods that train have in common: passes over a set, both sets at once, a frozen copy."""

import copy
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn

from negmerge.errors import UserError
from negmerge.evaluation.accuracy import Loss
from negmerge.settings.recipe import Recipe
from negmerge.training import fit
from negmerge.unlearning.registry import Batch, Data, Loader


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

    The batches of the other set are taken as they come, pass after pass. They go through the model
    one after the other, the retained ones first, so batch normalisation does not mix them. With an
    alpha of 0 and epochs of the forget set, the retain set is not read.

    Args:
        model: is trained.
        data: the sets.
        forget_loss: of the members of a forget batch; it calls the model.
        retain_loss: of those of a retain batch.
        weights: gamma and alpha.
        recipe: of the training.
        device: where the model is.
        forget: instead of the forget set of `data`.
        epoch_of: the set that an epoch is a pass over, `forget` or `retain`.

    Raises:
        UserError: a set that is needed is empty.
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
