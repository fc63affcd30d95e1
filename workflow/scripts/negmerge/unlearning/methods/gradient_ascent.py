"""Gradient ascent: raise the loss of what is to be forgotten."""

import torch
from torch import Tensor, nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.gradient_ascent import Options
from negmerge.training import fit
from negmerge.unlearning.passes import cross_entropy, passes
from negmerge.unlearning.registry import Data, Method


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
    options=Options,
)
