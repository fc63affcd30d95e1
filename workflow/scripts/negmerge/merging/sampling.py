"""Exact order statistics of magnitudes in one pass, with a range that a sample suggests.

The bits of a number that is not negative, read as an integer, order such numbers as they are. A
sample shows between which two bit patterns a number of some rank lies almost certainly. One pass
counts how many numbers are below this range, and how often each pattern in it occurs, which gives
the number exactly. Where the sample was misleading, there is no result.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np
import torch

from negmerge.merging.blocks import Block, Vectors

# Smaller models are not worth a sample.
LEAST = 2**22
# One number of so many is drawn, and the range goes so far to both sides of the rank.
SHARE = 64
MARGIN = 0.005
# A wider range would take more memory than it saves time.
WIDEST = 2**20


@dataclass
class Range:
    """Counts of bit patterns.

    Attributes:
        low: the first pattern of the range.
        counts: how often each pattern of the range occurs.
        below: how many numbers have a lower one.
    """

    low: int
    counts: np.ndarray
    below: int = 0
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


def suits(vectors: Vectors) -> bool:
    """Whether a sample saves time: not for small models, float64, or on a GPU."""
    narrow = set(vectors.dtypes.values()) == {torch.float32}
    return narrow and vectors.workers.device.type == "cpu" and vectors.size >= LEAST


def magnitudes(vectors: Vectors, places: Sequence[int]) -> list[list[float]] | None:
    """Find the magnitudes of each vector that sorting would bring to some places, from 0.

    Returns:
        The numbers, for each vector those of its places; None where the sample was misleading.
    """
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
    """Draw the bit patterns of one number of `SHARE`, from all over each vector; sorted."""

    def draw(block: Block) -> list[np.ndarray]:
        # The first rows of each block, as the pages of a file are read in one piece.
        columns, size = block.shape[-1] if block.shape else 1, block.stop - block.start
        rows = max(size // columns // SHARE, 1)
        first = replace(block, stop=block.start + rows * columns)
        step = max(SHARE * rows * columns // size, 1)
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
