"""Blocks of a merge subtracted, rounded and written into shards."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import StoredState, require_finite
from negmerge.checkpoints.writer import FORMAT, Layout, StateWriter
from negmerge.errors import UserError
from negmerge.merging.blocks import Block, to_host
from negmerge.merging.signs import changed, count_nonzero

# How many numbers of a tensor are copied at a time.
STRETCH = 2**22


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

    def merged_in(self, files: Iterable[str]) -> list[str]:
        """Return the tensors that the merge gives, in the order in which files hold them."""
        return [name for file in files for name in self.files[file] if name in self.merged]

    def bytes(self, file: str) -> int:
        """Return how many bytes of numbers a file holds."""
        return sum(self.tensors[name].bytes for name in self.files[file])


class Shards:
    """Some files of a plan, written one after the other; errors name `output`.

    Room for all of them is asked for at once. `spare` bytes of a header are kept free for longer
    `metadata` at the end.
    """

    def __init__(
        self,
        plan: Plan,
        files: Sequence[str],
        folder: Path,
        output: Path,
        metadata: Mapping[str, str] = FORMAT,
        spare: int = 0,
    ):
        self._plan, self._output = plan, output
        self._file_of = {name: file for file in files for name in plan.files[file]}
        self._writers: dict[str, StateWriter] = {}
        with ExitStack() as stack:
            for file in files:
                layout = {name: plan.tensors[name] for name in plan.files[file]}
                writer = StateWriter(folder / file, layout, metadata, spare)
                self._writers[file] = stack.enter_context(writer)
            self._stack = stack.pop_all()

    def __enter__(self) -> "Shards":
        return self

    def __exit__(self, *_) -> None:
        self._stack.close()

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
            self._writers[self._file_of[twin]].write(twin, start, numbers)

    def run(self, base: StoredState | None, results: Iterator[tuple[Block, Counts]]) -> Counts:
        """Write and finish the files.

        `results` yields each merged block after `write` was called, in the order of the files.
        """
        total = Counts()
        given = {twin for group in self._plan.merged.values() for twin in group}
        for file, writer in self._writers.items():
            left = 0
            for name in self._plan.files[file]:
                if name not in given:
                    self._copy(base, name, writer)
                elif name in self._plan.merged:
                    left += math.prod(self._plan.tensors[name].shape)
            while left:
                block, counts = next(results)
                total += counts
                left -= block.stop - block.start
            writer.finish()
        # A merge closes its bar when it has come to its end.
        next(results, None)
        return total

    def describe(self, metadata: Mapping[str, str]) -> None:
        """Put new texts into the header of the only file."""
        (writer,) = self._writers.values()
        writer.finish(metadata)

    def _copy(self, base: StoredState, name: str, writer: StateWriter) -> None:
        """Copy a tensor, byte for byte unless its dtype changes."""
        tensor = self._plan.tensors[name]
        size = math.prod(tensor.shape)
        for start in range(0, size, STRETCH):
            numbers = base.numbers(name, start, min(start + STRETCH, size))
            if numbers.dtype != tensor.dtype and bool(torch.isfinite(numbers).all()):
                numbers = self._rounded(numbers, name)
            writer.write(name, start, numbers.to(tensor.dtype))

    def _rounded(self, numbers: Tensor, name: str) -> Tensor:
        dtype = self._plan.tensors[name].dtype
        rounded = numbers.to(dtype)
        # A sum of numbers that are all finite is finite, too, but for the largest ones.
        if not torch.isfinite(rounded.sum(dtype=torch.float32)):
            require_finite(numbers, name, self._output)
            if count := int((~torch.isfinite(rounded)).sum()):
                short = str(dtype).removeprefix("torch.")
                raise UserError(
                    f"{self._output}: tensor {name!r}: {count} numbers are too large for {short}; "
                    "--dtype float32 or bfloat16 holds larger ones"
                )
        return rounded
