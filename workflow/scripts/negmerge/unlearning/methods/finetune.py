"""Fine-tuning: train on what is retained, and count on forgetting the rest."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.finetune import Options
from negmerge.training import fit
from negmerge.unlearning.passes import cross_entropy, passes
from negmerge.unlearning.registry import Data, Method


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train with cross-entropy on the retain set, in training mode."""
    count = recipe.epochs * len(data.retain)
    fit(
        model,
        passes(data.retain, recipe.epochs),
        count,
        cross_entropy(model, recipe),
        recipe,
        device,
        seed=data.seed,
    )


METHOD = Method(
    run,
    title="Finetune",
    reference="Warnecke et al., Machine Unlearning of Features and Labels (NDSS 2023)",
    options=Options,
)
