"""Exact order statistics of numbers too many to sort or to hold.

The number of a rank is found digit by digit of its bit pattern, 16 bits a pass. Of magnitudes one
pass is enough where a sample shows between which two patterns the number lies.
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

    `visit` is called once per pass with a function, which it calls for all numbers, in parts of any
    size and in any thread, each with the index of its set. `ranks` are the places wanted of each
    set, from 0; a place beyond them is an IndexError. `dtype` holds all numbers exactly.
    """
    width = 8 * dtype.itemsize
    digits = [[0] * len(places) for places in ranks]
    left = [list(places) for places in ranks]
    for shift in range(width - BITS, -1, -BITS):
        counts = _pass(visit, digits, shift, dtype)
        for index, places in enumerate(ranks):
            for column, place in enumerate(places):
                before = digits[index][column]
                order = _ascending(before, width - BITS - shift)
                upto = counts[index][before][order].cumsum(0)
                rank = left[index][column]
                at = int(torch.searchsorted(upto, rank, right=True))
                if at == VALUES or place < 0:
                    raise IndexError(f"no place {place} among {int(upto[-1])} numbers")
                left[index][column] -= int(upto[at - 1]) if at else 0
                digits[index][column] = before << BITS | int(order[at])
    numbers = (np.array(bits, UNSIGNED[dtype]).view(f"f{dtype.itemsize}") for bits in digits)
    # Adding 0 makes +0 of -0, which is equal to it but has other bits.
    return [(of_set + 0.0).tolist() for of_set in numbers]


def _pass(
    visit: Callable[[Take], None], digits: list[list[int]], shift: int, dtype: torch.dtype
) -> list[dict[int, Tensor]]:
    """Count the values of one digit, in each set and after each sequence of digits before it."""
    counts = [
        {before: torch.zeros(VALUES, dtype=torch.int64, device="cpu") for before in of_set}
        for of_set in digits
    ]
    lock = Lock()

    def take(index: int, numbers: Tensor) -> None:
        flat = numbers.to(dtype).contiguous().view(-1)
        count = _count_on_cpu if flat.device.type == "cpu" else _count_on_gpu
        of_part = count(flat, shift, counts[index])
        # Counts are whole numbers, so the order of the threads changes none.
        with lock:
            for before, values in of_part.items():
                counts[index][before] += values

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
    # A sample saves no time for small models, for float64, or on a GPU.
    is_narrow = set(vectors.dtypes.values()) == {torch.float32}
    is_large = vectors.workers.device.type == "cpu" and vectors.size >= LEAST
    if names is None and is_narrow and is_large:
        numbers = sampled_magnitudes(vectors, places)
        if numbers is not None:
            return numbers
    visit = passes(vectors, lambda block: map(torch.abs, block.flat()), names)
    return select(visit, [places] * len(vectors), widest(vectors, names))


def widest(vectors: Vectors, names: Sequence[str] | None = None) -> torch.dtype:
    """Return the dtype that holds the numbers of some tensors, or all, exactly."""
    dtypes = [vectors.dtypes[name] for name in (vectors.shapes if names is None else names)]
    return torch.float64 if torch.float64 in dtypes else torch.float32


# Models of fewer numbers are not worth a sample.
LEAST = 2**22
# About so many numbers of each vector are drawn, and the range goes so far to both sides of the
# rank, as a share of all. A wider range would take more memory than it saves time.
DRAWN, MARGIN, WIDEST = 2**19, 0.005, 2**19


@dataclass
class Range:
    """Counts of bit patterns."""

    low: int  # the first pattern of the range
    counts: np.ndarray  # how often each pattern of the range occurs
    below: int = 0  # how many numbers have a lower one
    lock: Lock = field(default_factory=Lock)

    def count(self, bits: np.ndarray) -> None:
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


def sampled_magnitudes(vectors: Vectors, places: Sequence[int]) -> list[list[float]] | None:
    """Do what `magnitudes` does, over all tensors; None where the sample was misleading."""
    ranges = [_ranges(drawn, places, vectors.size) for drawn in _draw(vectors)]
    if any(None in of_vector for of_vector in ranges):
        return None

    def count(block: Block) -> None:
        for vector, of_vector in zip(block.flat(), ranges, strict=True):
            bits = _bits(vector)
            for counted in of_vector:
                counted.count(bits)

    for _ in vectors.map(count):
        pass
    numbers = [[r.number(p) for r, p in zip(rs, places, strict=True)] for rs in ranges]
    return None if any(None in of_vector for of_vector in numbers) else numbers


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
    ranges = []
    for place in places:
        ranks = ((place / size + side) * len(drawn) for side in (-MARGIN, MARGIN))
        low, high = (int(drawn[min(max(int(rank), 0), len(drawn) - 1)]) for rank in ranks)
        width = high - low + 1
        ranges.append(Range(low, np.zeros(width, np.int64)) if width <= WIDEST else None)
    return ranges


def _bits(vector: torch.Tensor) -> np.ndarray:
    return vector.abs().numpy().view(np.uint32)
