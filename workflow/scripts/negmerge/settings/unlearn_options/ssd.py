"""The options of SSD."""

from pydantic import Field

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import UnlearnOptions


class Options(UnlearnOptions):
    """The options of Selective Synaptic Dampening."""

    data_used = "all"

    alpha: Positive = Field(
        10.0,
        description="A weight is dampened where its importance for the forget set is more than "
        "alpha times that for all images; 10 in the official scripts. Expect to tune it.",
    )
    dampening: Positive = Field(
        1.0, description="Lambda, the strength of the dampening; 1 in the official scripts."
    )
