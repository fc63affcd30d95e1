"""The options of RMU."""

from pydantic import Field, NonNegativeInt

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of RMU."""

    layer: NonNegativeInt = Field(
        7,
        description="The layer whose output is steered, from 0; 7 in open-unlearning's code, for "
        "models of 16 layers and more.",
    )
    steering: Positive = Field(
        2.0,
        description="Length of the vector that outputs are drawn to; 2 in open-unlearning's code, "
        "10 in searches of others.",
    )
