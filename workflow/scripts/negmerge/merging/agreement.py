"""Sign consensus, NegMerge's mask: on which coordinates do all task vectors agree in sign?

`methods/consensus.py` is something else: the consensus of TALL masks, which asks how many models an
update matters to, whatever its sign.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.devices import divisor


@dataclass(frozen=True)
class Summary:
    """What one look at each vector tells of a block.

    Attributes:
        total: the sum, in the order of the vectors.
        lowest: the smallest number of each coordinate.
        highest: the largest.
        count: how many vectors there are.
    """

    total: Tensor
    lowest: Tensor
    highest: Tensor
    count: int

    @property
    def mean(self) -> Tensor:
        """The mean over all vectors."""
        return self.total / divisor(self.count, self.total)

    @property
    def agree(self) -> Tensor:
        """True where all signs are equal and not zero.

        That is where the smallest number is above zero or the largest below. An exact zero in one
        vector is a disagreement. No votes are summed up, so no pool is too large to be counted.
        """
        return (self.lowest > 0).logical_or_(self.highest < 0)


def summarise(block: Block) -> Summary:
    """Add up the vectors of a block and find the extremes of each coordinate."""
    vectors = iter(block)
    total = next(vectors).clone()
    lowest, highest = total.clone(), total.clone()
    count = 1
    for vector in vectors:
        total += vector
        torch.minimum(lowest, vector, out=lowest)
        torch.maximum(highest, vector, out=highest)
        count += 1
    return Summary(total, lowest, highest, count)


def running_sum(block: Block) -> tuple[Tensor, int]:
    """Add up the vectors of a block in their order, and count them.

    One order of the sum gives one result to the bit, so the pool's order is kept.
    """
    vectors = iter(block)
    total = next(vectors).clone()
    count = 1
    for vector in vectors:
        total += vector
        count += 1
    return total, count
