"""The options of PCB-Merging."""

from pydantic import Field

from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of PCB-Merging."""

    ratio: Share = Field(
        0.1,
        description="Share of each vector's numbers, those of highest score, that get a weight.",
    )
    clip: float = Field(
        0.0001,
        ge=0,
        le=0.25,
        description="Share of the smallest and of the largest magnitudes to clamp.",
    )
