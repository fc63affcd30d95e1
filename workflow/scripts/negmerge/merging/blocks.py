"""Many vectors, read block by block: the same rows of one tensor of each at a time."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState, require_finite
from negmerge.models.devices import available_processors
from negmerge.vectors import widen

CPU = torch.device("cpu")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device; to a GPU it may still be under way, in the current stream."""
    if device.type == "cpu" and tensor.is_cpu:
        return tensor
    if device.type == "cuda" and tensor.is_cpu:
        # Only from pinned memory does a copy run beside other work. Torch keeps that memory until
        # the copy is done.
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor if tensor.device == device else tensor.to(device)


def to_host(tensor: Tensor) -> Tensor:
    """Return a tensor in the host's memory, after the current stream has come to its end."""
    if not tensor.is_cuda:
        return tensor.cpu()
    host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
    host.copy_(tensor, non_blocking=True)
    torch.cuda.current_stream(tensor.device).synchronize()
    return host


def divisor(number: float, like: Tensor) -> Tensor:
    """Return a tensor () to divide by: a GPU multiplies by the inverse of a plain number."""
    return like.new_full((), number)


Item, Result = TypeVar("Item"), TypeVar("Result")

# The least number of blocks in flight on a GPU: while one is computed, others are read or copied.
STREAMS = 4
# Blocks that a thread takes at a time; handing over each on its own would make threads wait.
BATCH = 8
# The largest piece of memory that lets GNU's C library raise its threshold.
PIECE = 2**25 - 2**16
# Bytes of a file that come into memory at a time, at least.
PAGE = 4096


class Workers:
    """Threads for many passes; without `with`, all work is done in the thread that asks for it.

    `threads` is how many blocks are worked on at a time, on a GPU `STREAMS` at least; where it is
    None, as many as there are processors for this process.
    """

    def __init__(self, threads: int | None = 1, device: torch.device = CPU):
        self.device = device
        # Seconds of all threads in what merges compute, without reading and writing files.
        self.computing = 0.0
        threads = threads or available_processors()
        self.threads = max(threads, STREAMS) if device.type == "cuda" else threads
        self._batch = 1 if device.type == "cuda" else BATCH
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        # GNU's C library gives freed pieces above a threshold back to the system, and takes them
        # again page by page, which takes longer than the computing. It raises the threshold to the
        # largest piece that was freed.
        torch.empty(PIECE, dtype=torch.uint8)
        if self.device.type == "cuda":
            # The new streams do not wait for what made the inputs in another one.
            torch.cuda.synchronize(self.device)
        if self.threads > 1:
            self._executor = ThreadPoolExecutor(self.threads, initializer=self._begin)
        return self

    def __exit__(self, *_) -> None:
        if self._executor is not None:
            self._executor.shutdown(cancel_futures=True)
        self._executor = None
        torch.set_num_threads(self._threads_before)

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield work(item) of each item, in order; only a few results wait to be taken."""
        if self._executor is None:
            yield from map(work, items)
            return
        items, waiting = iter(items), deque()

        def all_of(batch: list[Item]) -> list[Result]:
            return [work(item) for item in batch]

        while batch := list(islice(items, self._batch)):
            waiting.append(self._executor.submit(all_of, batch))
            if len(waiting) > 2 * self.threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()

    def _begin(self) -> None:
        """Start a stream for a new thread, in which all it computes runs from now on."""
        if self.device.type == "cuda":
            torch.cuda.set_stream(torch.cuda.Stream(self.device))


NUMBERS = 2**17
# Several threads take turns at Python's lock between operations, so each should take longer.
SHARED_NUMBERS = 2**19
# On a GPU, starting the work on a small block takes as long as the work.
GPU_NUMBERS = 2**21


class Source(Protocol):
    """Where one vector comes from."""

    label: str | Path

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        """Return the vector's numbers in a block, flattened, on its device, as float32 or float64.

        Nobody changes them. What is computed may be stored in `room`, of the block's size and
        dtype.
        """


class Memory:
    """A vector in memory."""

    def __init__(self, state: Mapping[str, Tensor], label: str):
        self.label = label
        self._flat = {name: tensor.detach().reshape(-1) for name, tensor in state.items()}

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        rows = self._flat[block.name][block.start : block.stop]
        return widen(to_device(rows, block.device))


class Stored:
    """A vector in a file."""

    def __init__(self, file: StoredState):
        self.label = file.path
        self._file = file

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        return widen(_read(self._file, block))


class Finetuned(Stored):
    """A checkpoint in a file, less the base of the pool."""

    def rows(self, block: "Block", room: Tensor | None = None) -> Tensor:
        # The base is widened, so half precision is subtracted as float32.
        return torch.sub(_read(self._file, block), block.origin, out=room)


def _read(file: StoredState, block: "Block") -> Tensor:
    """Read numbers of a file; they are widened on the device, so that fewer bytes go there."""
    start = time.perf_counter()
    numbers = file.numbers(block.name, block.start, block.stop)
    # Each page of the mapped file is touched here, or it would be read while one computes.
    numbers.view(torch.uint8)[::PAGE].sum()
    block.vectors.workers.computing -= time.perf_counter() - start
    return to_device(numbers, block.device)


def is_finite(numbers: Tensor) -> bool:
    """Whether a sum shows no NaN or infinity, which takes a fraction of a look at each number."""
    return math.isfinite(numbers.sum())


@dataclass
class Block:
    """The same rows of one tensor of each vector: a tensor (rows, columns) each.

    `name` and `shape` are the whole tensor's, `start` and `stop` places in it as it is flattened;
    `number` counts the blocks of a pass from 0.
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
        return self.vectors.workers.device

    @cached_property
    def origin(self) -> Tensor | None:
        """The base's numbers, flattened, as float32 or float64; None for vectors without a base."""
        base = self.vectors.base
        return None if base is None else widen(_read(base, self))

    def of(self, source: Source) -> Tensor:
        """Return the block's rows of one vector; NaN or an infinity is an error."""
        rows = self._flat(source)
        if not is_finite(rows):
            if self.origin is not None:
                require_finite(self.origin, self.name, self.vectors.base.path)
            require_finite(rows, self.name, source.label)
        return self.in_rows(rows)

    def flat(self) -> Iterator[Tensor]:
        """Yield the flattened numbers of each vector, which may overwrite the one before."""
        room = torch.empty(
            self.stop - self.start, dtype=self.vectors.dtypes[self.name], device=self.device
        )
        return (self._flat(source, room) for source in self.vectors.sources)

    def in_rows(self, flat: Tensor) -> Tensor:
        """View the block's flattened numbers as rows and columns."""
        return flat.view(-1, self.shape[-1] if self.shape else 1)

    def check(self, total: Tensor) -> None:
        """Look whether a sum of all vectors shows a NaN or an infinity; its vector is an error."""
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
    """The vectors of a pool: a source for each, in the order of the merge.

    A block holds about `numbers` of each vector. `base` is the checkpoint that the sources changed,
    where they are not vectors themselves.
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
        # Called with the numbers of each block that was passed over, by the thread that passes.
        self.passed: Callable[[int], object] = lambda numbers: None
        # Called with each block that was worked on, by the thread that did.
        self.done: Callable[[Block], object] = lambda block: None
        if numbers is None and self.workers.device.type == "cuda":
            numbers = GPU_NUMBERS
        self._numbers = numbers or (NUMBERS if self.workers.threads == 1 else SHARED_NUMBERS)

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def size(self) -> int:
        return sum(math.prod(shape) for shape in self.shapes.values())

    def map(
        self, work: Callable[[Block], Result], names: Iterable[str] | None = None
    ) -> Iterator[Result]:
        """Pass over tensors, and yield work(block) of each block, in order; threads may work."""

        def work_and_tell(block: Block) -> Result:
            result = work(block)
            self.done(block)
            return result

        return self.workers.map(work_and_tell, self.blocks(names))

    def blocks(self, names: Iterable[str] | None = None) -> Iterator[Block]:
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
