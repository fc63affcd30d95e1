"""base - coefficient * merged, rounded once, and what the rounding took."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
from negmerge.errors import UserError
from negmerge.merging.blocks import Block, to_host
from negmerge.merging.signs import changed, count_nonzero


@dataclass
class Counts:
    """Numbers of the tensors that were merged.

    Attributes:
        kept: those that the merged vector changes, which are not zero in it.
        moved: those that differ from the base after rounding.
    """

    kept: int = 0
    moved: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.kept + other.kept, self.moved + other.moved)


Step = Callable[[Block, Tensor], Counts]


@dataclass(frozen=True)
class Rounding:
    """How results are written.

    Attributes:
        where: the output, for errors.
        dtypes: the dtype of each tensor there.
        write: takes a tensor's name, a place in it and flattened numbers from there on.
    """

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
    """Round numbers to a dtype.

    Raises:
        UserError: one is too large for it, is NaN or infinite.
    """
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
