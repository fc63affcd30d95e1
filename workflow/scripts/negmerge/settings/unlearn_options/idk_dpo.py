"""The options of IdkDPO."""

from pydantic import Field

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of IdkDPO."""

    refusals = True

    beta: Positive = Field(
        0.1,
        description="How strongly the reference holds; 0.1 in open-unlearning's code.",
    )
