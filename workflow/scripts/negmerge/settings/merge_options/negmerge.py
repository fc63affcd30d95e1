"""The options of NegMerge."""

from typing import Literal

from pydantic import Field

from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of NegMerge."""

    operation: Literal["mean", "sum", "largest", "smallest", "median"] = Field(
        "mean",
        description="What to take where all signs agree; the paper's choice is the mean.",
    )
