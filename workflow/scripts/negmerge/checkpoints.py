"""States on disk: safetensors files, whole or in shards, read without holding them in memory."""

import json
import math
import mmap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from negmerge.checks import require_finite
from negmerge.errors import UserError

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
INDEX = "model.safetensors.index.json"


class StoredState:
    """A state on disk.

    Attributes:
        path: what names it in errors.
        files: the files that hold it.
        names: its tensors, sorted.
        metadata: the header's entries; empty for shards.
    """

    path: Path
    files: list[Path]
    names: list[str]
    metadata: dict[str, str]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one tensor from the header, without reading it."""
        raise NotImplementedError

    def dtype(self, name: str) -> torch.dtype:
        """Return the dtype of one tensor from the header.

        Raises:
            UserError: a dtype that is not supported.
        """
        raise NotImplementedError

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """Return the numbers start..stop of a flattened tensor, as they are stored.

        They may lie in a mapped file, so nothing may be written into them.
        """
        raise NotImplementedError

    def place(self, name: str) -> tuple[Path, int]:
        """Return the file that holds a tensor, and at which byte of it the tensor starts."""
        raise NotImplementedError

    def is_float(self, name: str) -> bool:
        """Whether the tensor holds floating-point numbers."""
        return self.dtype(name).is_floating_point

    def __getitem__(self, name: str) -> Tensor:
        """Read one tensor into memory.

        Raises:
            UserError: it holds NaN or an infinity, or numbers of 8 bits.
        """
        shape = self.shape(name)
        flat = self.numbers(name, 0, math.prod(shape)).clone()
        return require_finite(flat.view(shape), name, self.path)

    def items(self) -> Iterator[tuple[str, Tensor]]:
        """Read the tensors one after the other, in the order of their names."""
        for name in self.names:
            yield name, self[name]


class StateFile(StoredState):
    """A safetensors file.

    Args:
        path: the file.

    Raises:
        UserError: the file is missing, truncated or not a safetensors file.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            # This checks the header against the size of the file, so that no offset can lie.
            self._file = safe_open(str(path), framework="pt")
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: not a whole safetensors file ({error}); delete it and run again"
            ) from error
        self.files = [self.path]
        self.names = sorted(self._file.keys())
        self.metadata = self._file.metadata() or {}

    @cached_property
    def _bytes(self) -> Tensor:
        """The whole file, mapped; what is written into it would reach the memory only."""
        with open(self.path, "rb") as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        return torch.frombuffer(mapped, dtype=torch.uint8)

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where in the file each tensor starts."""
        with open(self.path, "rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length))
        return {name: 8 + length + header[name]["data_offsets"][0] for name in self.names}

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return tuple(self._file.get_slice(name).get_shape())

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        code = self._file.get_slice(name).get_dtype()
        if code not in DTYPES:
            raise UserError(
                f"{self.path}: tensor {name!r} has dtype {code}, which is not supported"
            )
        return DTYPES[code]

    def place(self, name: str) -> tuple[Path, int]:
        """See `StoredState`."""
        return self.path, self._places[name]

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        dtype = self.dtype(name)
        place, size = self._places[name] + start * dtype.itemsize, (stop - start) * dtype.itemsize
        found = self._bytes[place : place + size]
        if len(found) < size:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        # A foreign file may place its numbers where they cannot be taken as such.
        aligned = found if found.data_ptr() % dtype.itemsize == 0 else found.clone()
        return aligned.view(dtype)


class Shards(StoredState):
    """A state in several safetensors files with an index, as the Hugging Face hub stores them.

    Args:
        path: the index, `*.safetensors.index.json`.

    Raises:
        UserError: the index or a shard is missing or wrong, or a shard is elsewhere.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            places = json.loads(self.path.read_text())["weight_map"]
            files = {name: str(place) for name, place in places.items()}
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: not an index of shards ({error!r})") from error
        for file in set(files.values()):
            if Path(file).name != file:
                raise UserError(
                    f"{path}: shard {file!r} must be the name of a file beside the index"
                )
        opened = {file: StateFile(self.path.parent / file) for file in sorted(set(files.values()))}
        self._shards = {name: opened[file] for name, file in files.items()}
        self.names = sorted(files)
        self.metadata = {}
        self.files = [shard.path for shard in opened.values()]
        for name, shard in self._shards.items():
            if name not in shard.names:
                raise UserError(f"{shard.path}: tensor {name!r} is missing, the index puts it here")

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return self._shards[name].shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        return self._shards[name].dtype(name)

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        return self._shards[name].numbers(name, start, stop)

    def place(self, name: str) -> tuple[Path, int]:
        """See `StoredState`."""
        return self._shards[name].place(name)


def open_state(path: str | Path) -> StoredState:
    """Open a state: a safetensors file, an index of shards, or a folder with such an index.

    Raises:
        UserError: as `StateFile` and `Shards`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / (INDEX if (path / INDEX).exists() else "model.safetensors")
    return Shards(path) if path.name.endswith(".index.json") else StateFile(path)
