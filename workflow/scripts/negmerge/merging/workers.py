"""Threads that work on blocks: on a GPU, each in a stream of its own."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch

from negmerge.merging.devices import CPU

Item, Result = TypeVar("Item"), TypeVar("Result")

# The least number of blocks in flight on a GPU: while one is computed, others are read or copied.
STREAMS = 4
# Blocks that a thread takes at a time; handing over each on its own would make threads wait.
BATCH = 8
# The largest piece of memory that lets GNU's C library raise its threshold.
PIECE = 2**25 - 2**16


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed blocks for the next ones.

    GNU's gives pieces above a threshold back to the system at once, and takes them from there page
    by page, which takes longer than what is computed on them. The threshold rises to the largest
    piece that was freed.
    """
    torch.empty(PIECE, dtype=torch.uint8)


class Workers:
    """Threads for many passes; without `with`, all work is done in the thread that asks for it.

    Inside of `with`, an operation of torch takes one thread: on blocks, more of them cost more than
    they save.

    Args:
        threads: how many blocks are worked on at a time; more on a GPU, `STREAMS` at least.
        device: where they compute.
    """

    def __init__(self, threads: int = 1, device: torch.device = CPU):
        self.device = device
        self.threads = max(threads, STREAMS) if device.type == "cuda" else threads
        self._batch = 1 if device.type == "cuda" else BATCH
        self._executor: ThreadPoolExecutor | None = None

    def __enter__(self) -> "Workers":
        self._threads_before = torch.get_num_threads()
        torch.set_num_threads(1)
        keep_freed_memory()
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
