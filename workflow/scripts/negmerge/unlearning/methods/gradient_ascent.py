"""Gradient ascent: raise the loss of what is to be forgotten."""

from pydantic import Field, PositiveInt
from torch import nn

from negmerge.settings.recipe import Positive
from negmerge.unlearning.core import Data, Method, TrainingOptions, fit_set, minus


class Options(TrainingOptions):
    scenarios = ("classifier", "language")
    data_used = "forget"

    epochs: PositiveInt = Field(
        5,
        description="Passes over the forget set; 5 in Unlearn-Sparse's README, 10 for language "
        "models in open-unlearning's code.",
    )
    learning_rate: Positive = Field(
        5e-4,
        description="Peak rate. For forgetting images of all classes SalUn's authors suggest 5e-4 "
        "or 1e-3, or a search from 1e-5 to 0.1 (Unlearn-Saliency, issue 8); 1e-4 in "
        "Unlearn-Sparse's README is for forgetting a class. 1e-5 for language models in "
        "open-unlearning's code.",
    )


def run(model: nn.Module, data: Data, options: Options) -> None:
    """Minimise minus the loss of training on the forget set.

    In training mode, as in OPTML-Group/Unlearn-Saliency: the statistics of batch normalisation move
    towards the forget set. The loss has no lower bound, so the result depends on the rate. For
    language models it is open-unlearning's GradAscent.
    """
    loss = minus(data.loss(model))
    fit_set(model, data, data.forget, loss)


METHOD = Method(
    run,
    title="Gradient Ascent",
    reference="Thudi et al., Unrolling SGD (EuroS&P 2022)",
    options=Options,
)
