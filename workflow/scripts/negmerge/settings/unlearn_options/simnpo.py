"""The options of SimNPO."""

from pydantic import Field

from negmerge.settings.recipe import NonNegative, Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of SimNPO."""

    gamma: Positive = Field(
        0.125, description="Weight of the forget set's loss; 0.125 in open-unlearning's code."
    )
    beta: Positive = Field(
        4.5,
        description="The larger, the sooner an answer counts as forgotten; 4.5 in "
        "open-unlearning's code, 3.5 in searches of others.",
    )
    delta: NonNegative = Field(
        0.0,
        description="The mean loss of an answer at which it does; 0 in open-unlearning's code, 1 "
        "in searches of others.",
    )
