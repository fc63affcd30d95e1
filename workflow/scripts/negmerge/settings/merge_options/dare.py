"""The options of DARE."""

from typing import Literal

from pydantic import Field

from negmerge.settings.options import Seed
from negmerge.settings.recipe import Settings


class Options(Settings):
    """The options of DARE."""

    drop: float = Field(0.9, ge=0, le=0.99, description="Share that is dropped.")
    by: Literal["random", "magnitude"] = Field("random", description="How the share is chosen.")
    rescale: bool = Field(True, description="Whether the rest is scaled up.")
    seed: Seed = Field(0, description="Seed of a random choice.")
