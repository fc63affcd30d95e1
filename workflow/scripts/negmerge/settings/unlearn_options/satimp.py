"""The options of SatImp."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of SatImp."""

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 5 in open-unlearning's code for this method."
    )
    gamma: Positive = Field(
        0.1,
        description="Weight of the forget set's loss; 0.1 in open-unlearning's code, whose README "
        "has gamma 1 and alpha 0.1.",
    )
    beta1: NonNegative = Field(
        5.0, description="Power of a token's p in its weight; 5 in open-unlearning's code."
    )
    beta2: NonNegative = Field(
        1.0, description="Power of 1 - p in it; 1 in open-unlearning's code."
    )
