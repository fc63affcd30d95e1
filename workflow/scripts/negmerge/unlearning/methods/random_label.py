"""Random labels: train on wrong answers for what is to be forgotten."""

from collections.abc import Callable, Iterable, Iterator

import torch
from pydantic import Field, PositiveInt
from torch import nn
from torch.optim import Optimizer

from negmerge.evaluation.accuracy import Batch
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Positive
from negmerge.training import fit
from negmerge.unlearning.core import Data, DataUsed, Method, TrainingOptions


class Options(TrainingOptions):
    """The options of random labels, which SalUn has too."""

    epochs: PositiveInt = Field(
        10, description="Passes over the sets; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        0.013,
        description="Peak rate; that of SalUn's README, of which this is the case without a mask. "
        "Its authors search from 1e-4 to 0.1 (Unlearn-WorstCase, issue 1).",
    )
    retain: bool = Field(
        True,
        description="A pass over the retain set after each pass over the forget set, as in "
        "Unlearn-Saliency's code; otherwise the forget set only.",
    )

    @property
    def data_used(self) -> DataUsed:
        return "all" if self.retain else "forget"


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


def run(
    model: nn.Module,
    data: Data,
    options: Options,
    after_step: Callable[[Optimizer], None] | None = None,
) -> None:
    """Train all weights on random labels for the forget set, on the true ones for the retain set.

    An epoch is a pass over the forget set and then, with `retain`, one over the retain set, as in
    OPTML-Group/Unlearn-Saliency for CIFAR-10 and SVHN. (For CIFAR-100 and Tiny ImageNet it shuffles
    both into one pass; that is not offered.) One optimizer serves all passes.
    """
    recipe, device, loss = data.recipe, data.objective.device, data.loss(model)

    def batches() -> Iterator[Batch]:
        for epoch in range(recipe.epochs):
            yield from with_random_labels(data.forget, data.classes, data.seed, epoch)
            if options.retain:
                yield from data.retain

    count = recipe.epochs * (len(data.forget) + (len(data.retain) if options.retain else 0))
    fit(model, batches(), count, loss, recipe, device, after_step=after_step, seed=data.seed)


METHOD = Method(
    run,
    title="Random Labelling",
    reference="Golatkar et al., Eternal Sunshine of the Spotless Net (CVPR 2020)",
    options=Options,
)
