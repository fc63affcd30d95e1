"""NegGrad+: descend on what is retained and ascend on what is to be forgotten, in each step."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.neggrad_plus import Options
from negmerge.unlearning.passes import fit_both, minus
from negmerge.unlearning.registry import Data, Method


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Minimise alpha * CE(retain batch) - (1 - alpha) * CE(forget batch), in training mode.

    An epoch is a pass over the retain set. Forget batches are taken as they come, pass after pass;
    meghdadk/SCRUB begins anew with the first of them in each epoch.
    """
    loss = data.objective.loss(model, recipe.label_smoothing)
    weights = 1 - options.alpha, options.alpha
    how = weights, recipe, device
    fit_both(model, data, minus(loss), loss, *how, epoch_of="retain")


METHOD = Method(
    run,
    title="NegGrad+",
    reference="Kurmanji et al., Towards Unbounded Machine Unlearning (NeurIPS 2023)",
    options=Options,
)
