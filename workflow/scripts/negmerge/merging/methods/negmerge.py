"""NegMerge: the mean where all models agree in sign, zero elsewhere."""

from typing import Literal

from pydantic import Field
from torch import Tensor

from negmerge.merging.blocks import Block, divisor
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep, summarise
from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of NegMerge."""

    operation: Literal["mean", "sum", "largest", "smallest", "median"] = Field(
        "mean",
        description="What to take where all signs agree; the paper's choice is the mean.",
    )


def combine(block: Block, operation: str) -> Tensor:
    """Merge the task vectors where all K have the same non-zero sign.

    Elsewhere the result is +0. With K = 1 it is the task vector itself, whatever the operation.
    """
    summary = summarise(block)
    merged = _median(block) if operation == "median" else OPERATIONS[operation](summary)
    return keep(merged, summary.agree)


def _median(block: Block) -> Tensor:
    """Return the middle number, or the mean of the middle two of an even number of vectors."""
    ascending = block.stack().sort(dim=0).values
    count = len(ascending)
    if count % 2:
        return ascending[count // 2]
    both = ascending[count // 2 - 1] + ascending[count // 2]
    return both / divisor(2, both)


OPERATIONS = {
    "mean": lambda summary: summary.mean,
    "sum": lambda summary: summary.total,
    # Of magnitude, with its sign.
    "largest": lambda s: s.highest.where(s.highest > 0, s.lowest),
    "smallest": lambda s: s.lowest.where(s.lowest > 0, s.highest),
}


def times(vectors: int, operation: str, **_: object) -> int:
    """Return how many times the mean an operation gives: K times, exactly so, for the sum."""
    return vectors if operation == "sum" else 1


METHOD = Method(
    combine,
    title="NegMerge",
    reference="Kim et al., NegMerge (ICML 2025), section 3; other operations: appendix C",
    options=Options,
    times=times,
)
