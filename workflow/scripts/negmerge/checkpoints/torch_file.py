"""Files of `torch.save` as states."""

from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.nested import state_in
from negmerge.checkpoints.safetensors_file import DTYPES
from negmerge.checkpoints.stored import StoredState
from negmerge.checkpoints.torch_loading import load, require_plain
from negmerge.errors import UserError


class TorchFile(StoredState):
    """A file of `torch.save`: a state, or a training checkpoint with one inside.

    Only names, numbers and tensors are read. The old format, from before torch 1.6, cannot be
    mapped: such a file is read whole.
    """

    def __init__(self, path: str | Path, key: str | None = None):
        self.path = Path(path)
        self.files = [self.path]
        self.metadata = {}
        self._tensors, self.notes = state_in(load(self.path), key, self.path)
        self.names = sorted(self._tensors)
        self._size = self.path.stat().st_size
        self._read: dict[str, Tensor] = {}
        require_plain(self.path, self._tensors)

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return tuple(self._tensors[name].shape)

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        dtype = self._tensors[name].dtype
        if dtype not in DTYPES.values():
            raise UserError(
                f"{self.path}: tensor {name!r} has dtype {dtype}, which is not supported"
            )
        return dtype

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        if name not in self._read:
            self._read[name] = self._readable(name)
        return _part(self._read[name], start, stop)

    def place(self, name: str) -> tuple[Path, int] | None:
        """See `StoredState`; torch does not tell."""
        return None

    def _readable(self, name: str) -> Tensor:
        """Return a tensor whose numbers may be read, flattened if they lie in their order."""
        self.dtype(name)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < self._size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        tensor = self._tensors[name].detach()
        return tensor.view(-1) if tensor.is_contiguous() else tensor


def _part(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Return the numbers start..stop of a flattened tensor, and copy no others if it is strided."""
    if tensor.dim() == 1:
        return tensor[start:stop]
    if start == stop or tensor.is_contiguous():
        return tensor.reshape(-1)[start:stop] if start < stop else tensor.new_empty(0)
    row = tensor[0].numel()
    first, last = start // row, (stop - 1) // row
    if first == last:
        return _part(tensor[first], start - first * row, stop - first * row)
    pieces = (
        _part(tensor[first], start - first * row, row),
        tensor[first + 1 : last].reshape(-1),
        _part(tensor[last], 0, stop - last * row),
    )
    return torch.cat(pieces)
