"""Fine-tuning: train on what is retained, and count on forgetting the rest."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.finetune import Options
from negmerge.unlearning.passes import fit_set
from negmerge.unlearning.registry import Data, Method


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train with the loss of training on the retain set, in training mode."""
    loss = data.objective.loss(model, recipe.label_smoothing)
    fit_set(model, data, data.retain, loss, recipe, device)


METHOD = Method(
    run,
    title="Finetune",
    reference="Warnecke et al., Machine Unlearning of Features and Labels (NDSS 2023)",
    options=Options,
)
