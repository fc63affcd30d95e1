"""The options of Boundary Shrink."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of Boundary Shrink."""

    data_used = "forget"

    epochs: PositiveInt = Field(
        10, description="Passes over the forget set; 10 by SalUn's authors (WorstCase, issue 1)."
    )
    learning_rate: Positive = Field(
        1e-5,
        description="Peak rate; this project's choice. SalUn's authors search upwards from 1e-8 "
        "(Unlearn-WorstCase, issue 1).",
    )
    bound: Positive = Field(
        0.1,
        le=1,
        description="Size of the adversarial step, where images are in 0..1; 0.1 in the paper "
        "and in Unlearn-Saliency's code.",
    )
