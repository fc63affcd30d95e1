"""The options of l1-sparse."""

from pydantic import Field, NonNegativeInt, PositiveInt

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of l1-sparse."""

    data_used = "retain"

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10 in Unlearn-Sparse's README."
    )
    learning_rate: Positive = Field(0.01, description="Peak rate; 0.01 in Unlearn-Sparse's README.")
    alpha: NonNegative = Field(
        1e-4,
        description="Weight of the penalty in the first epoch; this project's choice. The code's "
        "default, 0.2, is shared with influence unlearning and far too large.",
    )
    plain_epochs: NonNegativeInt = Field(
        0, description="Epochs at the end without a penalty; 0 in Unlearn-Saliency's code."
    )
