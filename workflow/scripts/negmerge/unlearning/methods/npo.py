"""NPO: make what is to be forgotten less probable than it was, and less and less so."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.npo import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import Reference, score


def negative_preference(log_ratios: Tensor, beta: float) -> Tensor:
    """Return -(2 / beta) * mean of log sigmoid(-beta * (S - S of the reference)).

    Args:
        log_ratios: (n,) S - S of the reference; S sums log p over an answer's tokens.
        beta: the larger, the sooner an answer counts as forgotten; near 0 it is gradient ascent.
    """
    return -2 / beta * logsigmoid(-beta * log_ratios).mean()


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise gamma * negative preference(forget batch) + alpha * loss(retain batch).

    The reference is a frozen copy of the start.
    """
    original = Reference(model)

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        log_ratios = score(model, ids, labels).sums - original.score(ids, labels).sums
        return negative_preference(log_ratios, options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="NPO",
    reference="Zhang et al., Negative Preference Optimization (COLM 2024)",
    options=Options,
)
