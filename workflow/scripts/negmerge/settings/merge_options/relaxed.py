"""The options of Relaxed consensus."""

from pydantic import Field

from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of the relaxed consensus."""

    agreement: float = Field(
        0.8,
        ge=0.5,
        le=1,
        description="Share of the vectors that must have the same non-zero sign.",
    )
