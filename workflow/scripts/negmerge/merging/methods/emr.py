"""EMR's unified vector: the largest update in the direction of the mean."""

from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.engine import Method
from negmerge.merging.signs import summarise


def combine(block: Block) -> Tensor:
    """Elect the sign of the mean, then keep the largest magnitude that has this sign.

    sign = +1 where (1 / K) * sum of tau_k > 0, else -1, so a mean of 0 counts as negative;
    result = sign * max over k of |tau_k| where tau_k has the sign, and +0 where no tau_k has it.

    EMR also gives each task a mask and a scale of its own; they make K models, not one vector to
    subtract, and are left out.
    """
    summary = summarise(block)
    # A mean above 0 needs a number above 0; a mean of 0 may be rounded, with all numbers above.
    negative = summary.lowest.clamp(max=0.0)
    # Adding 0 turns -0 into +0.
    return summary.highest.where(summary.mean > 0, negative) + 0.0


METHOD = Method(
    combine,
    title="EMR-Merging",
    reference="Huang et al., EMR-Merging (NeurIPS 2024), the unified vector",
)
