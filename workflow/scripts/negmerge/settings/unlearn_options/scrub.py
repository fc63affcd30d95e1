"""The options of SCRUB."""

from pydantic import Field, NonNegativeInt, PositiveInt

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import TrainingOptions


class Options(TrainingOptions):
    """The options of SCRUB; all defaults are those of meghdadk/SCRUB's small-scale notebook."""

    data_used = "all"

    epochs: PositiveInt = Field(
        10, description="Passes over the retain set; 10 in SCRUB's notebook."
    )
    learning_rate: Positive = Field(
        5e-4,
        description="Peak rate; 5e-4 with Adam in SCRUB's notebook. With SGD search from 1e-4 to "
        "0.1 (Unlearn-WorstCase, issue 1).",
    )
    max_epochs: NonNegativeInt = Field(
        3, description="Epochs that begin with a pass over the forget set; 3 in SCRUB's notebook."
    )
    gamma: NonNegative = Field(
        1.0, description="Weight of the retain set's cross-entropy; 1 in SCRUB's notebook."
    )
    alpha: NonNegative = Field(
        0.5, description="Weight of the retain set's divergence; 0.5 in SCRUB's notebook."
    )
    temperature: Positive = Field(
        2.0, description="Temperature of the divergence; 2 in SCRUB's notebook."
    )
