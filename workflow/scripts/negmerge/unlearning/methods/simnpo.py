"""SimNPO: NPO without a reference, on the mean loss of an answer's tokens."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.simnpo import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import score


def simple_negative_preference(losses: Tensor, beta: float, delta: float) -> Tensor:
    """Return -(2 / beta) * mean of log sigmoid(beta * (L - delta)).

    Args:
        losses: (n,) L, the mean loss of an answer's tokens.
        beta: the larger, the sooner an answer counts as forgotten.
        delta: the loss at which it does.
    """
    return -2 / beta * logsigmoid(beta * (losses - delta)).mean()


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise gamma * simple negative preference(forget batch) + alpha * loss(retain batch)."""

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        losses = score(model, ids, labels).losses
        return simple_negative_preference(losses, options.beta, options.delta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="SimNPO",
    reference="Fan et al., Simplicity Prevails: Rethinking NPO for LLM Unlearning (2024)",
    options=Options,
)
