"""Gradient ascent: raise the loss of what is to be forgotten."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.gradient_ascent import Options
from negmerge.unlearning.passes import fit_set, minus
from negmerge.unlearning.registry import Data, Method


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise minus the loss of training on the forget set.

    In training mode, as in OPTML-Group/Unlearn-Saliency: the statistics of batch normalisation move
    towards the forget set. The loss has no lower bound, so the result depends on the rate. For
    language models it is open-unlearning's GradAscent.
    """
    loss = minus(data.objective.loss(model, recipe.label_smoothing))
    fit_set(model, data, data.forget, loss, recipe, device)


METHOD = Method(
    run,
    title="Gradient Ascent",
    reference="Thudi et al., Unrolling SGD (EuroS&P 2022)",
    options=Options,
)
