"""Training on random labels for what is to be forgotten, which random-label and salun share."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn
from torch.optim import Optimizer

from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Recipe
from negmerge.training import fit
from negmerge.unlearning.registry import Batch, Data


def with_random_labels(
    batches: Iterable[Batch], classes: int, seed: int, epoch: int
) -> Iterator[Batch]:
    """Replace labels by draws from all classes with equal chances, the true one included.

    Args:
        batches: images and labels.
        classes: how many classes there are.
        seed: with the epoch, decides the draws.
        epoch: each epoch has draws of its own.
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
