"""Sign consensus, NegMerge's mask: on which coordinates do all task vectors agree in sign?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState
from negmerge.errors import UserError
from negmerge.merging.blocks import Block, divisor


@dataclass(frozen=True)
class Summary:
    """What one look at each vector shows of a block."""

    total: Tensor  # the sum, in the order of the vectors
    lowest: Tensor  # of each coordinate
    highest: Tensor
    count: int  # of vectors

    @property
    def mean(self) -> Tensor:
        return self.total / divisor(self.count, self.total)

    @property
    def agree(self) -> Tensor:
        """True where all signs are equal and not zero; see `signs_agree`."""
        return signs_agree(self.lowest, self.highest)


def signs_agree(lowest: Tensor, highest: Tensor) -> Tensor:
    """Return True where all signs are equal and not zero: an exact zero is a disagreement."""
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
    """Add up the vectors of a block in their order, which decides the last bits."""
    vectors = block.flat()
    total = reduce(Tensor.add_, vectors, next(vectors).clone())
    block.check(total)
    return block.in_rows(total)


INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def keep(numbers: Tensor, mask: Tensor) -> Tensor:
    """Return the numbers where the mask is true, and +0 elsewhere, in a new tensor."""
    # A processor cannot guess where a random mask is true, and loses more time by wrong guesses of
    # `torch.where` than the rest of a merge takes. So bits are masked.
    integers = INTEGERS[numbers.dtype]
    bits = mask.to(integers).neg_()  # all 1 or all 0
    return bits.bitwise_and_(numbers.view(integers)).view(numbers.dtype)


def changed(base: Tensor, result: Tensor, change: Tensor) -> Tensor:
    """Return the result where the change is not zero, and the base's own bits elsewhere."""
    integers = INTEGERS[base.dtype]
    before, after = base.view(integers), result.view(integers)
    mask = torch.ne(change, 0, out=torch.empty_like(before)).neg_()  # all 1 or all 0
    return before.bitwise_xor(after).bitwise_and_(mask).bitwise_xor_(before).view(base.dtype)


def count_nonzero(numbers: Tensor) -> int:
    """Count the numbers in the host's memory that are not zero."""
    if numbers.dtype in INTEGERS:
        # NumPy compares in a fifth of torch's time.
        return int(np.count_nonzero(numbers.numpy() != 0))
    return int(numbers.count_nonzero())


# The number of coordinates on which the vectors agree, and of those on which they do not.
EACH = 6


@dataclass(frozen=True)
class Sample:
    """Some coordinates of one tensor, to show what a merge makes of them (Figure 2)."""

    tensor: str | None  # its name; None without vectors
    size: int  # how many coordinates it has
    agreeing: int  # on how many of them all vectors have the same sign, which is not 0
    places: Tensor  # (n,) int64, the chosen ones in the flattened tensor, in their order
    values: Tensor  # (vectors, n), of each vector there


def sample(vectors: Sequence[StoredState], each: int = EACH) -> Sample:
    """Choose coordinates of the largest changed tensor, half of which agree in sign."""
    if not vectors:
        return Sample(None, 0, 0, torch.empty(0, dtype=torch.int64), torch.empty(0, 0))
    first = vectors[0]
    # Sorting keeps the order of tensors of equal size.
    by_size = sorted(first.names, key=lambda name: -math.prod(first.shape(name)))
    tensor = next((name for name in by_size if first[name].any()), None)
    if tensor is None:
        raise UserError(f"{first.path}: all numbers of this vector are 0, so none can be shown")
    values = torch.stack([vector[tensor].flatten() for vector in vectors])
    agree = signs_agree(values.amin(0), values.amax(0))
    spread = []
    for kind in (agree.nonzero().flatten(), (~agree).nonzero().flatten()):
        count = min(each, len(kind))
        spread.append(kind[torch.arange(count) * len(kind) // max(count, 1)])
    places = torch.cat(spread).sort().values
    return Sample(tensor, values.shape[1], int(agree.sum()), places, values[:, places])
