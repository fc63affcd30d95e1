"""Blocks of a merge subtracted, rounded and written into shards."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState, require_finite
from negmerge.checkpoints.writer import FORMAT, Layout, StateWriter
from negmerge.errors import UserError
from negmerge.merging.blocks import Block, to_host
from negmerge.merging.signs import changed, count_nonzero
from negmerge.standalone.working import Working

PART = 2**22


@dataclass
class Counts:
    """Numbers that are not zero in the merged vector, and those that differ after rounding."""

    kept: int = 0
    moved: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.kept + other.kept, self.moved + other.moved)


Step = Callable[[Block, Tensor], Counts]


@dataclass
class Plan:
    """What is written where."""

    tensors: Mapping[str, Layout]
    files: Mapping[str, Sequence[str]]
    # What the merge gives, each with those that get the same numbers; all others are copied.
    merged: Mapping[str, Sequence[str]]

    def left(self, done: Mapping[str, object]) -> list[str]:
        """Return the tensors that do not lie in finished files, in the files' order."""
        return [name for file, names in self.files.items() if file not in done for name in names]


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

    def step(self, coefficient: float | None) -> Step:
        """Return what follows the merge of a block: subtract it, perhaps, round, write, count."""

        def store(block: Block, numbers: Tensor) -> Tensor:
            stored = self._rounded(numbers, block.name)
            self.write(block.name, block.start, stored)
            return stored

        def step(block: Block, rows: Tensor) -> Counts:
            if coefficient is None:
                return Counts(count_nonzero(rows), count_nonzero(store(block, rows)))
            base = to_host(block.origin)
            # Where nothing changes the base's bits stay, also those of a negative zero.
            stored = store(block, changed(base, (rows * -coefficient).add_(base), rows))
            return Counts(count_nonzero(rows), count_nonzero(stored - base.to(stored.dtype)))

        return step

    def write(self, name: str, start: int, numbers: Tensor) -> None:
        """Write numbers of a tensor that is merged, and of those that get the same."""
        for twin in self._plan.merged[name]:
            self._writer(self._file_of[twin]).write(twin, start, numbers)

    def run(self, base: StoredState | None, results: Iterator[tuple[Block, Counts]]) -> Counts:
        """Write all files that are not finished, and finish all but the last.

        `results` yields each merged block after `write` was called, in the order of the files.
        """
        total = sum((Counts(**note) for note in self._working.done.values()), Counts())
        given = {twin for group in self._plan.merged.values() for twin in group}
        for file, names in self._plan.files.items():
            if file in self._working.done:
                continue
            self.finish()
            self._last, self._counts, left = file, Counts(), 0
            for name in names:
                if name not in given:
                    self._copy(base, name)
                elif name in self._plan.merged:
                    left += math.prod(self._plan.tensors[name].shape)
            while left:
                block, counts = next(results)
                self._counts += counts
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
                numbers = self._rounded(numbers, name)
            writer.write(name, start, numbers.to(tensor.dtype))

    def _rounded(self, numbers: Tensor, name: str) -> Tensor:
        dtype, where = self._plan.tensors[name].dtype, self._working.output
        rounded = numbers.to(dtype)
        # A sum of numbers that are all finite is finite, too, but for the largest ones.
        if not torch.isfinite(rounded.sum(dtype=torch.float32)):
            require_finite(numbers, name, where)
            if count := int((~torch.isfinite(rounded)).sum()):
                short = str(dtype).removeprefix("torch.")
                raise UserError(
                    f"{where}: tensor {name!r}: {count} numbers are too large for {short}; "
                    "--dtype float32 or bfloat16 holds larger ones"
                )
        return rounded

    def _writer(self, file: str) -> StateWriter:
        with self._lock:
            if file not in self._open:
                layout = {name: self._plan.tensors[name] for name in self._plan.files[file]}
                place: Path = self._working.content / file
                self._open[file] = StateWriter(place, layout, self._metadata, self._spare)
            return self._open[file]
