"""Masked single: one vector where all agree in sign, as a control experiment."""

from pydantic import Field, PositiveInt
from torch import Tensor

from negmerge.errors import UserError
from negmerge.merging.blocks import Block, Vectors
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep, summarise
from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of the masked single vector."""

    single: PositiveInt = Field(
        1,
        description="The place of the vector whose numbers are kept, from 1. A study takes the one "
        "that `task-arithmetic` chose, and leaves this out.",
    )


def survey(vectors: Vectors, single: int) -> None:
    """Check that there is such a vector; fewer of them are a UserError."""
    if single > len(vectors):
        raise UserError(
            f"masked-single: option single is {single}, but {len(vectors)} vectors are merged"
        )


def combine(block: Block, single: int, survey: None) -> Tensor:
    """Keep the task vector in place `single`, from 1, where all K have the same non-zero sign.

    Elsewhere the result is +0. It is not zero where NegMerge's is not. So it differs from NegMerge
    by the mean over the vectors, and from the single vector by the mask.
    """
    vector = block.of(block.vectors.sources[single - 1])
    return keep(vector, summarise(block).agree)


METHOD = Method(
    combine,
    title="Masked single",
    reference="this project, a control experiment",
    options=Options,
    survey=survey,
    ordered=True,
)
