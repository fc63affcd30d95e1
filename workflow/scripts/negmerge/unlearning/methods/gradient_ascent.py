"""Gradient ascent: raise the loss of what is to be forgotten."""

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from negmerge.settings.recipe import Positive, Recipe
from negmerge.training import fit
from negmerge.unlearning.passes import cross_entropy, passes
from negmerge.unlearning.registry import Data, Method, TrainingOptions


class Options(TrainingOptions):
    """The options of gradient ascent."""

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 5 in Unlearn-Sparse's README."
    )
    learning_rate: Positive = Field(
        5e-4,
        description="Peak rate. For forgetting images of all classes SalUn's authors suggest 5e-4 "
        "or 1e-3, or a search from 1e-5 to 0.1 (Unlearn-Saliency, issue 8); 1e-4 in "
        "Unlearn-Sparse's README is for forgetting a class.",
    )


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise minus the cross-entropy on the forget set.

    In training mode, as in OPTML-Group/Unlearn-Saliency: the statistics of batch normalisation move
    towards the forget set. The loss has no lower bound, so the result depends on the rate.
    """
    descent = cross_entropy(model, recipe)

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        return -descent(images, labels)

    count = recipe.epochs * len(data.forget)
    fit(model, passes(data.forget, recipe.epochs), count, loss, recipe, device, seed=data.seed)


METHOD = Method(
    run,
    title="Gradient Ascent",
    reference="Thudi et al., Unrolling SGD (EuroS&P 2022)",
    data_used="forget",
    options=Options,
)
