"""GradDiff: raise the loss of what is to be forgotten, and lower that of what is retained."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.unlearning.core import Balanced, Data, Method
from negmerge.unlearning.passes import fit_both, minus


class Options(Balanced):
    """The options of GradDiff."""

    scenarios = ("classifier", "language")


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * loss(retain batch) - gamma * loss(forget batch).

    An epoch is a pass over the forget set, as in open-unlearning; NegGrad+ is the same with epochs
    of the retain set and weights that add up to 1.
    """
    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, minus(loss), loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="GradDiff",
    reference="Liu et al., Continual Learning and Private Unlearning (CoLLAs 2022), as in TOFU",
    options=Options,
)
