"""Blocks of a merge subtracted, rounded and written into shards."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Lock

import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.stored import StoredState
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


@dataclass(frozen=True)
class Rounding:
    """How results are written."""

    where: Path
    dtypes: Mapping[str, torch.dtype]
    write: Callable[[str, int, Tensor], None]

    def subtracting(self, coefficient: float) -> Step:
        """Return the step that follows the merge of a block: subtract it, round, write, count."""

        def step(block: Block, rows: Tensor) -> Counts:
            base = to_host(block.origin)
            # Where nothing changes the base's bits stay, also those of a negative zero.
            result = changed(base, (rows * -coefficient).add_(base), rows)
            found = self._store(block, result)
            moved = count_nonzero(found - base.to(found.dtype))
            return Counts(count_nonzero(rows), moved)

        return step

    def storing(self) -> Step:
        """Return the step that writes the merged vector itself, and counts."""

        def step(block: Block, rows: Tensor) -> Counts:
            found = self._store(block, rows)
            return Counts(count_nonzero(rows), count_nonzero(found))

        return step

    def _store(self, block: Block, result: Tensor) -> Tensor:
        found = rounded(result, block.name, self.dtypes[block.name], self.where)
        self.write(block.name, block.start, found)
        return found


def rounded(numbers: Tensor, name: str, dtype: torch.dtype, where: str | Path) -> Tensor:
    """Round numbers to a dtype."""
    found = numbers.to(dtype)
    # A sum of numbers that are all finite is finite, too, but for the largest ones.
    if not torch.isfinite(found.sum(dtype=torch.float32)):
        require_finite(numbers, name, where)
        count = int((~torch.isfinite(found)).sum())
        if count:
            short = str(dtype).removeprefix("torch.")
            raise UserError(
                f"{where}: tensor {name!r}: {count} numbers are too large for {short}; "
                "--dtype float32 or bfloat16 holds larger ones"
            )
    return found


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
