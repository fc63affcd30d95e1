"""WGA: gradient ascent that leaves alone the tokens that are forgotten already."""

import torch
from torch import Tensor, nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.wga import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import score, weighted_ascent


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * loss(retain) - gamma * mean over tokens of p^beta (-log p).

    The mean is over the tokens of the forget batch; the weights have no gradient.
    """

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return weighted_ascent(score(model, ids, labels), lambda p: p**options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="WGA",
    reference="Wang et al., Rethinking LLM Unlearning Objectives (ICLR 2025)",
    options=Options,
)
