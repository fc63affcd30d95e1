"""The options of TIES-Merging."""

from typing import Literal

from pydantic import Field

from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of TIES-Merging."""

    density: Share = Field(
        0.2, description="Share of each vector's numbers to keep, those of largest magnitude."
    )
    of: Literal["state", "trainable"] = Field(
        "state",
        description="Of which numbers the density is a share: all of a vector, or those of tensors "
        "that are not zero in all vectors, which are the tensors that fine-tuning changed.",
    )
    numbers: int = Field(
        0,
        ge=0,
        le=10**15,
        description="Instead, so many numbers; 0: those that `of` says. 113448705 are in the state "
        "that the released code saves of ViT-B/32, which holds unused text weights as well.",
    )
    reduce: Literal["mean", "sum", "max"] = Field(
        "mean", description="What to take of the numbers with the elected sign."
    )
