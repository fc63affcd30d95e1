"""The options of TALL masks."""

from pydantic import Field

from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of TALL masks."""

    threshold: Share = Field(
        0.4,
        description="How large an update must be beside the sum of the others (their lambda).",
    )
    active: int = Field(
        2,
        ge=0,
        le=1000,
        description="How many models must be active for a number to stay; 0 keeps all.",
    )
