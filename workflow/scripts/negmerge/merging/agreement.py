"""Sign consensus, NegMerge's mask: on which coordinates do all task vectors agree in sign?

`methods/consensus.py` is something else: the consensus of TALL masks, which asks how many models an
update matters to, whatever its sign.
"""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.devices import divisor


@dataclass(frozen=True)
class Summary:
    """What one look at each vector shows of a block.

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
        """True where all signs are equal and not zero; see `signs_agree`."""
        return signs_agree(self.lowest, self.highest)


def signs_agree(lowest: Tensor, highest: Tensor) -> Tensor:
    """Return True where the signs of all numbers are equal and not zero.

    That is where the smallest number is above zero or the largest below. An exact zero in one
    vector is a disagreement. No votes are summed up, so no pool is too large to be counted.

    Args:
        lowest: the smallest number of each coordinate.
        highest: the largest.
    """
    # The same as (lowest > 0) | (highest < 0), which takes torch three times as long.
    return lowest.relu().sub_(highest.clamp(max=0)).bool()


def summarise(block: Block) -> Summary:
    """Add up the vectors of a block in their order, and find the extremes of each coordinate."""
    vectors = block.flat()
    total = next(vectors).clone()
    lowest, highest = total.clone(), total.clone()
    for vector in vectors:
        total += vector
        torch.minimum(lowest, vector, out=lowest)
        torch.maximum(highest, vector, out=highest)
    block.check(total)
    return Summary(*map(block.in_rows, (total, lowest, highest)), len(block))


def running_sum(block: Block) -> Tensor:
    """Add up the vectors of a block in their order.

    One order of the sum gives one result to the bit, so the pool's order is kept.
    """
    vectors = block.flat()
    total = reduce(Tensor.add_, vectors, next(vectors).clone())
    block.check(total)
    return block.in_rows(total)
