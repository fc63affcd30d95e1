"""The options of Model Breadcrumbs."""

from typing import Literal

from pydantic import Field

from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of Model Breadcrumbs."""

    density: Share = Field(
        0.15,
        description="Share of each row that stays; 0.15 is where the authors' search starts.",
    )
    remove: Share = Field(0.006, description="Share of each row, its largest numbers, that goes.")
    first: Literal["remove", "density"] = Field(
        "remove",
        description="What comes first: a share kept first loses the outliers out of itself.",
    )
