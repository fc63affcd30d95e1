"""The options of CEU."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of CEU."""

    scenarios = ("language",)
    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 in open-unlearning's code."
    )
    learning_rate: Positive = Field(1e-5, description="Peak rate; 1e-5 in open-unlearning's code.")
