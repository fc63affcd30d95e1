"""NPO: make what is to be forgotten less probable than it was, and less and less so."""

import torch
from torch import Tensor, nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.npo import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import Reference, preference, score


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * loss(retain) - gamma * (2 / beta) mean of log sigmoid(-beta * (S - S_r)).

    The mean is over the answers of the forget batch. S sums log p over an answer's tokens, and S_r
    is that of the reference, a frozen copy of the start. With a beta near 0 it is gradient ascent.
    """
    original = Reference(model)

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        log_ratios = score(model, ids, labels).sums - original.score(ids, labels).sums
        return preference(-log_ratios, options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="NPO",
    reference="Zhang et al., Negative Preference Optimization (COLM 2024)",
    options=Options,
)
