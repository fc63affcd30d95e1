"""Conflict: what NegMerge leaves out, as a control experiment."""

from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep, summarise


def combine(block: Block) -> Tensor:
    """Keep the mean of the task vectors where not all K have the same non-zero sign.

    Elsewhere the result is +0. Added to NegMerge's it gives the uniform merge.
    """
    summary = summarise(block)
    return keep(summary.mean, ~summary.agree)


METHOD = Method(
    combine,
    title="conflicting",
    reference="Kim et al., NegMerge (ICML 2025), Table 3",
)
