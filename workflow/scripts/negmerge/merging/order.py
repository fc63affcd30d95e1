"""Exact order statistics of numbers too many to sort or to hold.

The bits of a floating-point number, read as an integer, order the positive numbers as they are and
the negative ones the other way round. So the number of a rank is found digit by digit, 16 bits at a
time, each in one pass that counts how often each value of the digit occurs among the numbers that
share the digits found so far: two passes for float32, four for float64.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from negmerge.merging.blocks import Vectors

BITS = 16
VALUES = 2**BITS
UNSIGNED = {torch.float32: np.uint32, torch.float64: np.uint64}


def select(
    read: Callable[[], Iterable[tuple[int, Tensor]]],
    ranks: Sequence[Sequence[int]],
    dtype: torch.dtype = torch.float32,
) -> list[list[float]]:
    """Find the numbers that sorting each of several sets would bring to given places.

    Args:
        read: called once per pass; gives all numbers, in parts of any size and shape, each with the
            index of its set.
        ranks: the places wanted of each set, from 0, in ascending order of the numbers.
        dtype: float32 or float64, one that holds all numbers exactly.

    Returns:
        The numbers at these places. Memory grows with the number of ranks only, half a megabyte
        for each, not with the amount of numbers.

    Raises:
        IndexError: a set has no such place.
    """
    width = 8 * dtype.itemsize
    found = [[0] * len(places) for places in ranks]
    left = [list(places) for places in ranks]
    for shift in range(width - BITS, -1, -BITS):
        counts = [{digits: torch.zeros(VALUES, dtype=torch.int64) for digits in f} for f in found]
        for index, numbers in read():
            bits = numbers.to(dtype).contiguous().view(-1).numpy().view(UNSIGNED[dtype])
            _count(bits, shift, width, counts[index])
        for index, places in enumerate(ranks):
            for column, place in enumerate(places):
                before = found[index][column]
                order = _ascending(before, width - BITS - shift)
                upto = counts[index][before][order].cumsum(0)
                rank = left[index][column]
                at = int(torch.searchsorted(upto, rank, right=True))
                if at == VALUES or place < 0:
                    raise IndexError(f"no place {place} among {int(upto[-1])} numbers")
                left[index][column] -= int(upto[at - 1]) if at else 0
                found[index][column] = before << BITS | int(order[at])
    # Adding 0 makes +0 of -0, which is equal to it but has other bits.
    return [(np.array(f, UNSIGNED[dtype]).view(f"f{dtype.itemsize}") + 0.0).tolist() for f in found]


def _count(bits: np.ndarray, shift: int, width: int, counts: dict[int, Tensor]) -> None:
    """Count the values of the digit at `shift`, for each sequence of digits before it."""
    before = bits >> (shift + BITS) if shift + BITS < width else None
    for digits, count in counts.items():
        # NumPy's masks are several times faster than PyTorch's, its counts are slower.
        same = bits if before is None else bits[before == digits]
        values = (same >> shift).astype(np.int32) & (VALUES - 1)
        count += torch.bincount(torch.from_numpy(values), minlength=VALUES)


def _ascending(before: int, length: int) -> Tensor:
    """List the values of a digit in the order of the numbers, given the `length` bits before it."""
    values = torch.arange(VALUES)
    if length == 0:
        positive, negative = values.chunk(2)
        return torch.cat([negative.flip(0), positive])
    is_negative = before >> (length - 1)
    return values.flip(0) if is_negative else values


def magnitudes(vectors: Vectors, *places: int) -> list[list[float]]:
    """Find order statistics of each vector's magnitudes, over all its tensors; see `select`."""

    def read() -> Iterator[tuple[int, Tensor]]:
        for block in vectors.blocks():
            for index, vector in enumerate(block):
                yield index, vector.abs()

    return select(read, [places] * len(vectors), widest(vectors))


def widest(vectors: Vectors) -> torch.dtype:
    """Give the dtype that holds the numbers of all tensors exactly."""
    return torch.float64 if torch.float64 in vectors.dtypes.values() else torch.float32
