"""What methods that train have in common: passes over a set, and the loss of a classifier."""

from collections.abc import Callable, Iterator

from torch import Tensor, nn
from torch.nn import functional

from negmerge.settings.recipe import Recipe
from negmerge.unlearning.registry import Batch, Loader


def passes(loader: Loader, count: int) -> Iterator[Batch]:
    """Yield the batches of `count` epochs, one after the other."""
    for _ in range(count):
        yield from loader


def cross_entropy(model: nn.Module, recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    """Make the loss that calls the model: cross-entropy, the mean over the batch."""

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        smoothing = recipe.label_smoothing
        return functional.cross_entropy(model(images), labels, label_smoothing=smoothing)

    return loss
