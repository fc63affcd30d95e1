"""Many vectors, read block by block: the same rows of one tensor of each at a time.

A block holds whole rows along the last axis. It is so small that what one thread computes of it
stays in the cache of a processor core; what a merge holds in memory depends on neither the model
nor the number of vectors.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.stored import StoredState
from negmerge.merging.devices import to_device
from negmerge.merging.workers import Workers
from negmerge.vectors import widen

NUMBERS = 2**17
# Several threads take turns at Python's lock between operations, so each should take longer.
SHARED_NUMBERS = 2**19
# On a GPU, starting the work on a small block takes as long as the work.
GPU_NUMBERS = 2**21

Result = TypeVar("Result")


class Source(Protocol):
    """Where one vector comes from."""

    label: str | Path

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        """Return the vector's numbers in a block, flattened, on its device, as float32 or float64.

        Nobody changes them: they may lie in a mapped file. They may hold NaN and infinities. What
        has to be computed may be stored in `room`, a tensor of the size and dtype of the block.
        """


class Memory:
    """A vector in memory."""

    def __init__(self, state: Mapping[str, Tensor], label: str):
        self.label = label
        self._flat = {name: tensor.detach().reshape(-1) for name, tensor in state.items()}

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        """Return a part of a tensor; see `Source`."""
        rows = self._flat[block.name][block.start : block.stop]
        return widen(to_device(rows, block.device))


class Stored:
    """A vector in a file."""

    def __init__(self, file: StoredState):
        self.label = file.path
        self._file = file

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        """Return a part of a tensor; see `Source`."""
        return widen(_read(self._file, block))


class Finetuned(Stored):
    """A checkpoint in a file, less the base of the pool."""

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        """Return a part of a tensor; see `Source`."""
        # The base is widened, so half precision is subtracted as float32.
        return torch.sub(_read(self._file, block), block.origin, out=room)


def _read(file: StoredState, block: "Block") -> Tensor:
    """Read numbers of a file; they are widened on the device, so that fewer bytes go there."""
    return to_device(file.numbers(block.name, block.start, block.stop), block.device)


def is_finite(numbers: Tensor) -> bool:
    """Whether a sum shows no NaN or infinity, which takes a fraction of a look at each number."""
    return math.isfinite(numbers.sum())


@dataclass
class Block:
    """The same rows of one tensor of each vector.

    Iterating yields a tensor (rows, columns) per vector, one after the other, all of one dtype and
    on one device.

    Attributes:
        name: the tensor's name.
        shape: the whole tensor's shape.
        start: where the block starts in the flattened tensor.
        stop: where it ends.
        number: counts the blocks of a pass from 0.
    """

    vectors: "Vectors"
    name: str
    shape: tuple[int, ...]
    start: int
    stop: int
    number: int

    def __iter__(self) -> Iterator[Tensor]:
        for source in self.vectors.sources:
            yield self.of(source)

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def device(self) -> torch.device:
        """Where the block's numbers are computed."""
        return self.vectors.workers.device

    @cached_property
    def origin(self) -> Tensor | None:
        """The base's numbers, flattened, as float32 or float64; None for vectors without a base."""
        base = self.vectors.base
        return None if base is None else widen(_read(base, self))

    def of(self, source: Source) -> Tensor:
        """Return the block's rows of one vector.

        Raises:
            NotFinite: they hold NaN or an infinity.
        """
        rows = self._flat(source)
        if not is_finite(rows):
            if self.origin is not None:
                require_finite(self.origin, self.name, self.vectors.base.path)
            require_finite(rows, self.name, source.label)
        return self.in_rows(rows)

    def flat(self) -> Iterator[Tensor]:
        """Yield the block's numbers of each vector, flattened, and not looked at for NaN.

        This is faster than iterating, not least since each may overwrite the one before. Whoever
        takes it passes a sum of all vectors to `check`.
        """
        room = torch.empty(
            self.stop - self.start, dtype=self.vectors.dtypes[self.name], device=self.device
        )
        return (self._flat(source, room) for source in self.vectors.sources)

    def in_rows(self, flat: Tensor) -> Tensor:
        """View the block's flattened numbers as rows and columns."""
        return flat.view(-1, self.shape[-1] if self.shape else 1)

    def check(self, total: Tensor) -> None:
        """Look whether a sum of all vectors shows a NaN or an infinity, and then for its vector.

        Raises:
            NotFinite: a vector holds NaN or an infinity.
        """
        if not is_finite(total):
            for vector in self:
                del vector

    def stack(self) -> Tensor:
        """Return the rows of all vectors at once: (vectors, rows, columns)."""
        return torch.stack(list(self))

    def _flat(self, source: Source, room: Tensor | None = None) -> Tensor:
        rows, dtype = source.rows(self, room), self.vectors.dtypes[self.name]
        return rows if rows.dtype == dtype else rows.to(dtype)


class Vectors:
    """The vectors of a pool.

    Args:
        sources: one per vector, in the order of the merge.
        shapes: name -> shape, in the order in which the tensors are read.
        dtypes: name -> float32 or float64.
        numbers: how many numbers of each vector a block holds, about; as many as suit the device
            if none are given.
        workers: who works on the blocks, and on which device; the calling thread on the CPU if
            none are given.
        base: the checkpoint that the sources changed, where they are not vectors themselves.

    Attributes:
        passed: called with the numbers of each block that was passed over, from the thread that
            made the pass; a bar may be moved here.
        done: called with each block that was worked on, in the thread that did.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        shapes: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, torch.dtype],
        numbers: int | None = None,
        workers: Workers | None = None,
        base: StoredState | None = None,
    ):
        self.sources = list(sources)
        self.shapes = dict(shapes)
        self.dtypes = dtypes
        self.workers = workers or Workers()
        self.base = base
        self.passed: Callable[[int], object] = lambda numbers: None
        self.done: Callable[[Block], object] = lambda block: None
        self._numbers = numbers or _suiting(self.workers)

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def size(self) -> int:
        """The numbers in one vector."""
        return sum(math.prod(shape) for shape in self.shapes.values())

    def map(
        self, work: Callable[[Block], Result], names: Iterable[str] | None = None
    ) -> Iterator[Result]:
        """Pass over tensors, and yield work(block) of each block, in their order.

        `work` may run in several threads at once.
        """

        def work_and_tell(block: Block) -> Result:
            result = work(block)
            self.done(block)
            return result

        return self.workers.map(work_and_tell, self.blocks(names))

    def blocks(self, names: Iterable[str] | None = None) -> Iterator[Block]:
        """Pass over some tensors, or all."""
        number = 0
        for name in self.shapes if names is None else names:
            shape = self.shapes[name]
            columns = max(shape[-1] if shape else 1, 1)
            step = max(self._numbers // columns, 1) * columns
            for start in range(0, math.prod(shape), step):
                stop = min(start + step, math.prod(shape))
                yield Block(self, name, shape, start, stop, number)
                self.passed(stop - start)
                number += 1


def _suiting(workers: Workers) -> int:
    """Return how many numbers of each vector suit those who work on a block."""
    if workers.device.type == "cuda":
        return GPU_NUMBERS
    return NUMBERS if workers.threads == 1 else SHARED_NUMBERS
