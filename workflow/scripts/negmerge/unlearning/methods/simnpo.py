"""SimNPO: NPO without a reference, on the mean loss of an answer's tokens."""

import torch
from torch import Tensor, nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.simnpo import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import preference, score


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * loss(retain) - gamma * (2 / beta) mean of log sigmoid(beta * (L - delta)).

    The mean is over the answers of the forget batch, of each of which L is the mean loss of the
    tokens.
    """

    def away(ids: Tensor, labels: Tensor) -> Tensor:
        return preference(score(model, ids, labels).losses - options.delta, options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_both(model, data, away, loss, options.weights, recipe, device)


METHOD = Method(
    run,
    title="SimNPO",
    reference="Fan et al., Simplicity Prevails: Rethinking NPO for LLM Unlearning (2024)",
    options=Options,
)
