"""The options of UNDIAL."""

from pydantic import Field

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of UNDIAL."""

    learning_rate: Positive = Field(
        1e-4,
        description="Peak rate; 1e-4 in open-unlearning's code for this method, 3e-4 the best of a "
        "search (unlearning-depth-score).",
    )
    alpha: NonNegative = Field(
        0.0,
        description="Weight of the retain set's loss; 0 in open-unlearning's code, where it is "
        "not read.",
    )
    beta: Positive = Field(
        10.0,
        description="How far the logit of a forgotten token is turned down; 10 in "
        "open-unlearning's code.",
    )
