"""The options of Finetune."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of fine-tuning."""

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
