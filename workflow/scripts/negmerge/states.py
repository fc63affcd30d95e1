"""States (name -> tensor) on disk, as safetensors files, checked when they are read."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from negmerge.errors import UserError
from negmerge.files import replacing

State = dict[str, Tensor]

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class StateFile:
    """A safetensors file, read tensor by tensor so that it need not fit into memory.

    Args:
        path: the file.

    Raises:
        UserError: the file is missing, truncated or not a safetensors file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            self._file = safe_open(str(path), framework="pt")
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: not a whole safetensors file ({error}); delete it and run again"
            ) from error
        self.names: list[str] = sorted(self._file.keys())
        self.metadata: dict[str, str] = self._file.metadata() or {}

    def shape(self, name: str) -> tuple[int, ...]:
        """Give the shape of one tensor from the header, without reading it."""
        return tuple(self._file.get_slice(name).get_shape())

    def is_float(self, name: str) -> bool:
        """Say whether the tensor holds floating-point numbers."""
        return self._file.get_slice(name).get_dtype().startswith(("F", "BF"))

    def __getitem__(self, name: str) -> Tensor:
        """Read one tensor.

        Raises:
            UserError: it holds NaN or an infinity.
        """
        return require_finite(self._file.get_tensor(name), name, self.path)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Read the tensors one after the other, in the order of their names."""
        for name in self.names:
            yield name, self[name]


def read_state(path: str | Path) -> State:
    """Read a whole state.

    Raises:
        UserError: not a whole safetensors file, or NaN or infinity in a tensor.
    """
    return dict(StateFile(path).items())


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, object]):
    """Write a state and its `metadata` (JSON values) at once or not at all.

    Equal states and metadata give equal bytes.

    Raises:
        UserError: NaN or infinity in a tensor, or no room on the disk.
    """
    tensors = {
        name: require_finite(state[name], name, path).detach().cpu().contiguous()
        for name in sorted(state)
    }
    # One entry, since safetensors does not keep the order of several.
    header = {"negmerge": json.dumps(metadata, sort_keys=True)}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)


def read_metadata(path: str | Path) -> dict:
    """Read the metadata that `write_state` put into a file's header; empty for foreign files.

    Raises:
        UserError: the file or its metadata cannot be read.
    """
    try:
        return json.loads(StateFile(path).metadata.get("negmerge", "{}"))
    except ValueError as error:
        raise UserError(f"{path}: its header entry `negmerge` is not JSON ({error})") from error


def require_finite(tensor: Tensor, name: str, where: str | Path) -> Tensor:
    """Give the tensor back if all its numbers are finite.

    Raises:
        UserError: it holds NaN or an infinity, or numbers of 8 bits or less.
    """
    if tensor.is_floating_point() and tensor.dtype not in FLOATS:
        raise UserError(f"{where}: tensor {name!r} holds {tensor.dtype}, expected 16 to 64 bits")
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise UserError(f"{where}: tensor {name!r} holds {bad} NaN or infinite of {tensor.numel()}")
    return tensor


def require_same_layout(
    reference: Mapping[str, tuple[int, ...]],
    found: Mapping[str, tuple[int, ...]],
    where: str | Path,
) -> None:
    """Check that a state has exactly the tensor names and shapes of a reference.

    Raises:
        UserError: it names the first tensor that is missing, extra or misshapen.
    """
    missing = sorted(set(reference) - set(found))
    extra = sorted(set(found) - set(reference))
    if missing:
        raise UserError(f"{where}: tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if extra:
        raise UserError(f"{where}: tensor {extra[0]!r} is not expected ({len(extra)} in all)")
    for name, shape in reference.items():
        if tuple(found[name]) != tuple(shape):
            raise UserError(
                f"{where}: tensor {name!r} has shape {list(found[name])}, expected {list(shape)}"
            )


def shapes(state: Mapping[str, Tensor] | StateFile) -> dict[str, tuple[int, ...]]:
    """Give the shape of each tensor of a state in memory or on disk."""
    if isinstance(state, StateFile):
        return {name: state.shape(name) for name in state.names}
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
