"""Random labels: train on wrong answers for what is to be forgotten."""

import torch
from torch import nn

from negmerge.settings.recipe import Recipe
from negmerge.settings.unlearn_options.random_label import Options
from negmerge.unlearning.registry import Data, Method
from negmerge.unlearning.relabelling import train_on_random_labels


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train all weights on random labels for the forget set, on the true ones for the retain set.

    See `relabelling.train_on_random_labels`.
    """
    train_on_random_labels(model, data, options.retain, recipe, device)


METHOD = Method(
    run,
    title="Random Labelling",
    reference="Golatkar et al., Eternal Sunshine of the Spotless Net (CVPR 2020)",
    options=Options,
)
