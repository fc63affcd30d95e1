"""What every state on disk offers, whatever its format."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_finite


class StoredState:
    """A state on disk; its names are sorted."""

    path: Path
    files: list[Path]
    names: list[str]
    # The texts of a safetensors header; empty for other formats and for shards.
    metadata: dict[str, str]
    # Lines that tell the user what was done to open it, beyond the obvious.
    notes: Sequence[str] = ()

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one tensor, without reading it."""
        raise NotImplementedError

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype of one tensor, without reading it."""
        raise NotImplementedError

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """Return the numbers start..stop of a flattened tensor, as they are stored.

        They may lie in the mapped file, for all who read it, so they must not be changed.
        """
        raise NotImplementedError

    def place(self, name: str) -> tuple[Path, int] | None:
        """Return the file and the byte in it where a tensor starts; None if its bytes are not in
        one piece, in the order of its flattened numbers.
        """
        raise NotImplementedError

    def is_float(self, name: str) -> bool:
        """Whether the tensor holds floating-point numbers."""
        return self.dtype(name).is_floating_point

    def __getitem__(self, name: str) -> Tensor:
        """Read one tensor into memory of its own."""
        shape = self.shape(name)
        flat = self.numbers(name, 0, math.prod(shape)).clone()
        return require_finite(flat.view(shape), name, self.path)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Read the tensors one after the other, in the order of their names."""
        for name in self.names:
            yield name, self[name]
