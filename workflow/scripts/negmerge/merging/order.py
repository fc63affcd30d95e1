"""Exact order statistics of numbers too many to sort or to hold.

The bits of a floating-point number, read as an integer, order the positive numbers as they are and
the negative ones the other way round. So the number of a rank is found digit by digit, 16 bits at a
time, each in one pass that counts how often each value of the digit occurs among the numbers that
share the digits found so far: two passes for float32, four for float64.

Of magnitudes one pass is enough: a sample shows between which two bit patterns a number of some
rank lies almost certainly. The pass counts how many numbers are below this range, and how often
each pattern in it occurs, which gives the number exactly. Where the sample was misleading, the
digits are counted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from negmerge.merging.blocks import Block, Vectors

BITS = 16  # of a digit
VALUES = 2**BITS
UNSIGNED = {torch.float32: np.uint32, torch.float64: np.uint64}
INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}

Take = Callable[[int, Tensor], None]


def select(
    visit: Callable[[Take], None],
    ranks: Sequence[Sequence[int]],
    dtype: torch.dtype = torch.float32,
) -> list[list[float]]:
    """Find the numbers that sorting each of several sets would bring to given places.

    `visit` is called once per pass with a function. It calls that for all numbers, in parts of any
    size and shape, each with the index of its set; it may do so in several threads. `ranks` are the
    places wanted of each set, from 0, in ascending order of the numbers; a place beyond them is an
    IndexError. `dtype`, float32 or float64, holds all numbers exactly. Memory grows with the number
    of ranks only, half a megabyte for each, not with the amount of numbers.
    """
    width = 8 * dtype.itemsize
    found = [[0] * len(places) for places in ranks]
    left = [list(places) for places in ranks]
    for shift in range(width - BITS, -1, -BITS):
        counts = _pass(visit, found, shift, dtype)
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


def _pass(
    visit: Callable[[Take], None], found: list[list[int]], shift: int, dtype: torch.dtype
) -> list[dict[int, Tensor]]:
    """Count the values of one digit, in each set and after each sequence of digits found so far."""
    counts = [
        {digits: torch.zeros(VALUES, dtype=torch.int64, device="cpu") for digits in one}
        for one in found
    ]
    lock = Lock()

    def take(index: int, numbers: Tensor) -> None:
        flat = numbers.to(dtype).contiguous().view(-1)
        count = _count_on_cpu if flat.device.type == "cpu" else _count_on_gpu
        found = count(flat, shift, counts[index])
        # Counts are whole numbers, so the order of the threads changes none.
        with lock:
            for digits, values in found.items():
                counts[index][digits] += values

    visit(take)
    return counts


def _count_on_cpu(numbers: Tensor, shift: int, prefixes: Iterable[int]) -> dict[int, Tensor]:
    """Count the values of the digit at `shift`, for each sequence of digits before it."""
    bits = numbers.numpy().view(UNSIGNED[numbers.dtype])
    is_first = shift + BITS == 8 * numbers.dtype.itemsize
    before = None if is_first else bits >> (shift + BITS)
    counts = {}
    for digits in prefixes:
        # NumPy's masks are several times faster than PyTorch's, its counts are slower.
        same = bits if is_first else bits[before == digits]
        values = (same >> shift).astype(np.int32) & (VALUES - 1)
        counts[digits] = torch.bincount(torch.from_numpy(values), minlength=VALUES)
    return counts


def _count_on_gpu(numbers: Tensor, shift: int, prefixes: Iterable[int]) -> dict[int, Tensor]:
    """Do the same without NumPy and unsigned integers, which a GPU lacks; the counts come back."""
    bits = numbers.view(INTEGERS[numbers.dtype])
    higher = 8 * numbers.dtype.itemsize - shift - BITS
    # A shift fills up with the sign, so what it brings in is masked out.
    before = (bits >> (shift + BITS)) & (2**higher - 1) if higher else None
    counts = {}
    for digits in prefixes:
        same = bits[before == digits] if higher else bits
        values = (same >> shift) & (VALUES - 1)
        counts[digits] = torch.bincount(values, minlength=VALUES).cpu()
    return counts


def _ascending(before: int, length: int) -> Tensor:
    """List the values of a digit in the order of the numbers, given the `length` bits before it."""
    values = torch.arange(VALUES, device="cpu")
    if length == 0:
        positive, negative = values.chunk(2)
        return torch.cat([negative.flip(0), positive])
    is_negative = before >> (length - 1)
    return values.flip(0) if is_negative else values


def passes(
    vectors: Vectors,
    numbers: Callable[[Block], Iterable[Tensor]],
    names: Sequence[str] | None = None,
) -> Callable[[Take], None]:
    """Make the passes of `select` over some tensors, or all; `numbers` gives those of each set."""

    def visit(take: Take) -> None:
        def work(block: Block) -> Tensor | None:
            part = None
            for index, part in enumerate(numbers(block)):
                take(index, part)
            return part

        # The last part is held until the next block is done: where all is freed, the system takes
        # the memory back, and gives it again page by page, which takes as long as the counting.
        for _held in vectors.map(work, names):
            pass

    return visit


def magnitudes(
    vectors: Vectors, *places: int, names: Sequence[str] | None = None
) -> list[list[float]]:
    """Find order statistics of each vector's magnitudes, over some tensors or all; see `select`."""
    found = None
    if names is None and suits_sample(vectors):
        found = sampled_magnitudes(vectors, places)
    if found is None:
        visit = passes(vectors, lambda block: map(torch.abs, block.flat()), names)
        found = select(visit, [places] * len(vectors), widest(vectors, names))
    return found


def widest(vectors: Vectors, names: Sequence[str] | None = None) -> torch.dtype:
    """Return the dtype that holds the numbers of some tensors, or all, exactly."""
    dtypes = [vectors.dtypes[name] for name in (vectors.shapes if names is None else names)]
    return torch.float64 if torch.float64 in dtypes else torch.float32


# Smaller models are not worth a sample.
LEAST = 2**22
# About so many numbers of each vector are drawn, and the range goes so far to both sides of the
# rank, as a share of all.
DRAWN = 2**19
MARGIN = 0.005
# A wider range would take more memory than it saves time.
WIDEST = 2**19


@dataclass
class Range:
    """Counts of bit patterns."""

    low: int  # the first pattern of the range
    counts: np.ndarray  # how often each pattern of the range occurs
    below: int = 0  # how many numbers have a lower one
    lock: Lock = field(default_factory=Lock)

    def count(self, bits: np.ndarray) -> None:
        """Count bit patterns."""
        below = np.count_nonzero(bits < self.low)
        # What is below becomes very large.
        places = bits - np.uint32(self.low)
        places = places[places < len(self.counts)]
        with self.lock:
            self.below += below
            np.add.at(self.counts, places, 1)

    def number(self, rank: int) -> float | None:
        """Return the number of a rank, from 0; None if it lies outside of the range."""
        upto = self.below + self.counts.cumsum()
        if not self.below <= rank < upto[-1]:
            return None
        pattern = self.low + int(np.searchsorted(upto, rank, side="right"))
        return float(np.uint32(pattern).view(np.float32))


def suits_sample(vectors: Vectors) -> bool:
    """Whether a sample saves time: not for small models, float64, or on a GPU."""
    narrow = set(vectors.dtypes.values()) == {torch.float32}
    return narrow and vectors.workers.device.type == "cpu" and vectors.size >= LEAST


def sampled_magnitudes(vectors: Vectors, places: Sequence[int]) -> list[list[float]] | None:
    """Do what `magnitudes` does, over all tensors; None where the sample was misleading."""
    ranges = [_ranges(drawn, places, vectors.size) for drawn in _draw(vectors)]
    if any(one is None for of_vector in ranges for one in of_vector):
        return None

    def count(block: Block) -> None:
        for vector, of_vector in zip(block.flat(), ranges, strict=True):
            bits = _bits(vector)
            for one in of_vector:
                one.count(bits)

    for _ in vectors.map(count):
        pass
    found = [[o.number(p) for o, p in zip(r, places, strict=True)] for r in ranges]
    return None if any(None in numbers for numbers in found) else found


def _draw(vectors: Vectors) -> list[np.ndarray]:
    """Draw the bit patterns of about `DRAWN` numbers from all over each vector; sorted."""
    share = max(vectors.size // DRAWN, 1)

    def draw(block: Block) -> list[np.ndarray]:
        # The first rows of each block, as the pages of a file are read in one piece.
        columns, size = block.shape[-1] if block.shape else 1, block.stop - block.start
        rows = max(size // columns // share, 1)
        first = replace(block, stop=block.start + rows * columns)
        step = max(share * rows * columns // size, 1)
        return [_bits(vector)[::step].copy() for vector in first.flat()]

    drawn = zip(*vectors.map(draw), strict=True)
    return [np.sort(np.concatenate(parts)) for parts in drawn]


def _ranges(drawn: np.ndarray, places: Sequence[int], size: int) -> list[Range | None]:
    """Return for each place the range in which its number should lie; None if it is too wide."""
    found = []
    for place in places:
        ranks = ((place / size + side) * len(drawn) for side in (-MARGIN, MARGIN))
        low, high = (int(drawn[min(max(int(rank), 0), len(drawn) - 1)]) for rank in ranks)
        width = high - low + 1
        found.append(Range(low, np.zeros(width, np.int64)) if width <= WIDEST else None)
    return found


def _bits(vector: torch.Tensor) -> np.ndarray:
    return vector.abs().numpy().view(np.uint32)
