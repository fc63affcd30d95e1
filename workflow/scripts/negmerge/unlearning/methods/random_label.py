"""Random labels: train on wrong answers for what is to be forgotten."""

import torch
from pydantic import Field, PositiveInt
from torch import nn

from negmerge.settings.recipe import Positive, Recipe
from negmerge.unlearning.core import Data, Method, Relabelling
from negmerge.unlearning.passes import train_on_random_labels


class Options(Relabelling):
    """The options of random labels."""

    epochs: PositiveInt = Field(
        10, description="Passes over the sets; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        0.013,
        description="Peak rate; that of SalUn's README, of which this is the case without a mask. "
        "Its authors search from 1e-4 to 0.1 (Unlearn-WorstCase, issue 1).",
    )


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train all weights on random labels for the forget set, on the true ones for the retain set.

    See `passes.train_on_random_labels`.
    """
    train_on_random_labels(model, data, options.retain, recipe, device)


METHOD = Method(
    run,
    title="Random Labelling",
    reference="Golatkar et al., Eternal Sunshine of the Spotless Net (CVPR 2020)",
    options=Options,
)
