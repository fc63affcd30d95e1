"""The options of Boundary Expanding."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of Boundary Expanding."""

    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; this project's choice. SalUn's authors search upwards from 1e-8 "
        "(Unlearn-WorstCase, issue 1).",
    )
