"""The options of NPO."""

from pydantic import Field

from negmerge.settings.recipe import Positive
from negmerge.settings.unlearning import Balanced


class Options(Balanced):
    """The options of NPO."""

    beta: Positive = Field(
        0.1,
        description="The larger, the sooner an answer counts as forgotten; 0.1 in "
        "open-unlearning's code, 0.05 to 0.5 in searches of others.",
    )
