"""Uniform merge: the plain mean."""

from torch import Tensor

from negmerge.merging.blocks import Block, divisor
from negmerge.merging.engine import Method
from negmerge.merging.signs import running_sum


def combine(block: Block) -> Tensor:
    """Average the task vectors: (1 / K) * sum of tau_k."""
    total = running_sum(block)
    return total / divisor(len(block), total)


METHOD = Method(
    combine,
    title="Uniform Merge",
    reference="Wortsman et al., Model soups (ICML 2022), the uniform soup",
)
