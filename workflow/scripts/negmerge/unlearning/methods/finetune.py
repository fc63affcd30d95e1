"""Fine-tuning: train on what is retained, and count on forgetting the rest."""

from pydantic import Field, PositiveInt
from torch import nn

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method, TrainingOptions, fit_set


class Options(TrainingOptions):
    scenarios = ("classifier", "language")
    data_used = "retain"

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10 in Unlearn-Sparse's README."
    )
    learning_rate: Positive = Field(
        0.01,
        description="Peak rate; 0.01 in Unlearn-Sparse's README. SalUn's authors search from 1e-4 "
        "to 0.1 (Unlearn-WorstCase, issue 1).",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Train with the loss of training on the retain set, in training mode."""
    loss = data.loss(model)
    fit_set(model, data, data.retain, loss)


METHOD = Method(
    run,
    title="Finetune",
    reference="Warnecke et al., Machine Unlearning of Features and Labels (NDSS 2023)",
    options=Options,
)
