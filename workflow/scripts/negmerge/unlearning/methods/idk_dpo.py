"""IdkDPO: prefer "I don't know" to the answers that are to be forgotten."""

import torch
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.idk_dpo import Options
from negmerge.unlearning.passes import fit_both
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.tokens import Reference, score


def preference(refused: Tensor, answered: Tensor, beta: float) -> Tensor:
    """Return -(2 / beta) * mean of log sigmoid(beta * (refused - answered)).

    Rafailov et al. (NeurIPS 2023) have the factor 1; 2 / beta is open-unlearning's.

    Args:
        refused: (n,) of the refusals, S - S of the reference; S sums log p over an answer's tokens.
        answered: (n,) likewise of the answers to forget.
        beta: how far from the reference.
    """
    return -2 / beta * logsigmoid(beta * (refused - answered)).mean()


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise gamma * preference(forget batch) + alpha * loss(retain batch).

    The reference is a frozen copy of the start.
    """
    original = Reference(model)

    def prefer(ids: Tensor, labels: Tensor) -> Tensor:
        answered, refused = (
            score(model, one, own).sums - original.score(one, own).sums
            for one, own in zip(ids.unbind(1), labels.unbind(1), strict=True)
        )
        return preference(refused, answered, options.beta)

    loss = data.objective.loss(model, recipe.label_smoothing)
    how = options.weights, recipe, device
    fit_both(model, data, prefer, loss, *how, forget=data.refusals)


METHOD = Method(
    run,
    title="IdkDPO",
    reference="Maini et al., TOFU (COLM 2024), with DPO (Rafailov et al., NeurIPS 2023)",
    options=Options,
)
