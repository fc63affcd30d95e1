"""The files of an output, which threads write while the pool is merged in order."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from threading import Lock

import torch
from torch import Tensor

from negmerge.checkpoints.stored import StoredState
from negmerge.checkpoints.writer import FORMAT, Layout, StateWriter
from negmerge.merging.blocks import Block
from negmerge.standalone.subtracting import Counts, rounded
from negmerge.standalone.working import Working

PART = 2**22


@dataclass
class Plan:
    """What is written where."""

    tensors: Mapping[str, Layout]
    files: Mapping[str, Sequence[str]]
    # What the merge gives, each with those that get the same numbers; all others are copied.
    merged: Mapping[str, Sequence[str]]

    def bytes_left(self, done: Mapping[str, object]) -> int:
        """Return the bytes of the tensors that do not lie in finished files."""
        return sum(self.tensors[name].bytes for name in self._left(done))

    def merged_left(self, done: Mapping[str, object]) -> list[str]:
        """Return the merged tensors that do not lie in finished files, in the files' order."""
        return [name for name in self._left(done) if name in self.merged]

    def copied(self, file: str) -> list[str]:
        """Return the tensors of a file that the merge does not give."""
        given = {one for group in self.merged.values() for one in group}
        return [name for name in self.files[file] if name not in given]

    def numbers_merged(self, file: str) -> int:
        """Return how many numbers of a file the merge gives, those of tied tensors once."""
        names = (name for name in self.files[file] if name in self.merged)
        return sum(math.prod(self.tensors[name].shape) for name in names)

    def _left(self, done: Mapping[str, object]) -> Iterator[str]:
        return (name for file, names in self.files.items() if file not in done for name in names)


class Shards:
    """The files of a plan, written one after the other; two or more can be under way at a time."""

    def __init__(
        self,
        plan: Plan,
        working: Working,
        metadata: Mapping[str, str] = FORMAT,
        spare: int = 0,
    ):
        self._plan, self._working, self._metadata, self._spare = plan, working, metadata, spare
        self._file_of = {name: file for file, names in plan.files.items() for name in names}
        self._open: dict[str, StateWriter] = {}
        self._lock = Lock()
        self._last: str | None = None
        self._counts = Counts()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_) -> None:
        with ExitStack() as stack:
            for writer in self._open.values():
                stack.push(writer)

    def write(self, name: str, start: int, numbers: Tensor) -> None:
        """Write numbers of a tensor that is merged, and of those that get the same."""
        for one in self._plan.merged[name]:
            self._writer(self._file_of[one]).write(one, start, numbers)

    def run(self, base: StoredState | None, results: Iterator[tuple[Block, Counts]]) -> Counts:
        """Write all files that are not finished, and finish all but the last.

        `results` yields each merged block after `write` was called, in the order of the files.
        """
        total = sum((Counts(**note) for note in self._working.done.values()), Counts())
        for file in self._plan.files:
            if file in self._working.done:
                continue
            self.finish()
            self._last = file
            for name in self._plan.copied(file):
                self._copy(base, name)
            self._counts, left = Counts(), self._plan.numbers_merged(file)
            while left:
                block, found = next(results)
                self._counts += found
                left -= block.stop - block.start
            total += self._counts
        # A merge closes its bar when it has come to its end.
        next(results, None)
        return total

    def finish(self, metadata: Mapping[str, str] | None = None) -> None:
        """Finish the file that was written last, with new texts in its header."""
        if self._last is None:
            return
        file, self._last = self._last, None
        self._writer(file).finish(metadata)
        with self._lock, self._open.pop(file):
            pass
        self._working.finish(file, asdict(self._counts))

    def _copy(self, base: StoredState, name: str) -> None:
        """Copy a tensor, byte for byte unless its dtype changes."""
        tensor, writer = self._plan.tensors[name], self._writer(self._file_of[name])
        size = math.prod(tensor.shape)
        for start in range(0, size, PART):
            numbers = base.numbers(name, start, min(start + PART, size))
            if numbers.dtype != tensor.dtype and bool(torch.isfinite(numbers).all()):
                numbers = rounded(numbers, name, tensor.dtype, self._working.output)
            writer.write(name, start, numbers.to(tensor.dtype))

    def _writer(self, file: str) -> StateWriter:
        with self._lock:
            if file not in self._open:
                layout = {name: self._plan.tensors[name] for name in self._plan.files[file]}
                place = self._working.content / file
                self._open[file] = StateWriter(place, layout, self._metadata, self._spare)
            return self._open[file]
