"""The options of Random mask."""

from pydantic import Field

from negmerge.settings.options import Seed
from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of the random mask."""

    seed: Seed = Field(0, description="Seed of the draw.")
