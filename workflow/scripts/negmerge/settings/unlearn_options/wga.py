"""The options of WGA."""

from pydantic import Field, PositiveInt

from negmerge.settings.recipe import NonNegative
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of WGA."""

    epochs: PositiveInt = Field(
        5, description="Passes over the forget set; 5 in open-unlearning's code for this method."
    )
    beta: NonNegative = Field(
        1.0,
        description="Power of a token's probability in its weight; 1 in open-unlearning's code; 0 "
        "is GradDiff.",
    )
