"""The options of Gradient Ascent."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of gradient ascent."""

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
