"""Random labels: train on wrong answers for what is to be forgotten."""

import torch
from pydantic import Field, PositiveInt
from torch import nn

from negmerge.recipe import Positive, Recipe
from negmerge.unlearning.registry import Data, Method, Training, Uses
from negmerge.unlearning.relabelling import train_on_random_labels


class Options(Training):
    """The options of random labels."""

    epochs: PositiveInt = Field(
        10, description="Passes over the sets; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        0.013,
        description="Peak rate; that of SalUn's README, of which this is the case without a mask. "
        "Its authors search from 1e-4 to 0.1 (Unlearn-WorstCase, issue 1).",
    )
    retain: bool = Field(
        True,
        description="A pass over the retain set after each pass over the forget set, as in "
        "Unlearn-Saliency's code; otherwise the forget set only.",
    )


def run(
    model: nn.Module, data: Data, options: Options, recipe: Recipe, device: torch.device
) -> None:
    """Train all weights; see `relabelling.train_on_random_labels`."""
    train_on_random_labels(model, data, options.retain, recipe, device)


def reads(options: Options) -> Uses:
    """Say which images are read."""
    return "all" if options.retain else "forget"


METHOD = Method(
    run,
    title="Random Labeling",
    reference="Golatkar et al., Eternal Sunshine of the Spotless Net (CVPR 2020)",
    reads=reads,
    options=Options,
)
