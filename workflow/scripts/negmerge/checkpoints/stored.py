"""States on disk, read without holding them in memory, and safetensors files as such."""

import json
import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
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


class StoredState:
    """A state on disk; its names are sorted."""

    path: Path
    files: list[Path]
    names: list[str]
    # The texts of a safetensors header; empty for other formats and for shards.
    metadata: dict[str, str]
    # Lines that tell the user what was done to open it, beyond the obvious.
    notes: Sequence[str] = ()

    @cached_property
    def _flat(self) -> dict[str, Tensor]:
        """The tensors that were read, flattened."""
        return {}

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
        if name not in self._flat:
            self._flat[name] = self._flattened(name)
        return self._flat[name][start:stop]

    def place(self, name: str) -> tuple[Path, int] | None:
        """Return the file and the byte where a tensor's numbers start; None if that is unknown."""
        return None

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

    def _flattened(self, name: str) -> Tensor:
        raise NotImplementedError


class StateFile(StoredState):
    """A safetensors file."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            # This checks the header against the size of the file, so that no offset can lie.
            with safe_open(str(path), framework="pt"), open(path, "rb") as stream:
                length = int.from_bytes(stream.read(8), "little")
                header = json.loads(stream.read(length))
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: not a whole safetensors file ({error}); delete it, and make or fetch it "
                "again"
            ) from error
        self.files = [self.path]
        self.metadata = header.pop("__metadata__", None) or {}
        self.names = sorted(header)
        self._header, self._begin = header, 8 + length

    @cached_property
    def _bytes(self) -> Tensor:
        """The whole file, mapped: what is read of it stays in the system's memory of files."""
        # A private mapping: who writes to it by mistake changes no file.
        return torch.from_file(
            str(self.path), shared=False, size=self.path.stat().st_size, dtype=torch.uint8
        )

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return tuple(self._header[name]["shape"])

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        code = self._header[name]["dtype"]
        if code not in DTYPES:
            raise UserError(
                f"{self.path}: tensor {name!r} has dtype {code}, which is not supported"
            )
        return DTYPES[code]

    def place(self, name: str) -> tuple[Path, int]:
        """See `StoredState`."""
        return self.path, self._begin + self._header[name]["data_offsets"][0]

    def _flattened(self, name: str) -> Tensor:
        """Return a whole tensor in the mapped file."""
        count, begin, dtype = math.prod(self.shape(name)), self.place(name)[1], self.dtype(name)
        if not count:
            return torch.empty(0, dtype=dtype)
        # To touch a mapping beyond the end of its file would kill the process.
        if self.path.stat().st_size < begin + count * dtype.itemsize:
            raise UserError(f"{self.path}: tensor {name!r} ends too early; the file was cut")
        # A header of any length is allowed, so numbers may lie at odd places, where a view of the
        # bytes as numbers is refused.
        return torch.frombuffer(self._bytes.numpy(), dtype=dtype, count=count, offset=begin)
