"""SatImp: gradient ascent on the tokens that are neither forgotten already nor certain."""

import torch
from torch import Tensor, nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.satimp import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import score, weighted_ascent


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * loss(retain) - gamma * mean over tokens of p^beta1 (1 - p)^beta2 (-log p).

    The mean is over the tokens of the forget batch; the weights have no gradient.
    """

    def weigh(p: Tensor) -> Tensor:
        return p**options.beta1 * (1 - p) ** options.beta2

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return weighted_ascent(score(model, ids, labels), weigh)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="SatImp",
    reference="Yang et al., Exploring Criteria of Loss Reweighting (ICML 2025)",
    options=Options,
)
