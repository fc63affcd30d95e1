"""Writing safetensors files piece by piece, in any order and from several threads."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import CODES, Layout

# transformers 4 refuses files whose header does not say which library wrote them.
FORMAT = {"format": "pt"}


def header_metadata(report: Mapping) -> dict[str, str]:
    """Return the texts of a file's header that holds a report."""
    return FORMAT | {"negmerge": json.dumps(report, sort_keys=True)}


class StateWriter:
    """A safetensors file in the making; room for all of it is asked for before anything is written.

    `spare` bytes of the header are kept free for longer texts at the end.
    """

    def __init__(
        self,
        path: Path,
        tensors: Mapping[str, Layout],
        metadata: Mapping[str, str] = FORMAT,
        spare: int = 0,
    ):
        self._tensors = tensors
        self._length = 0
        header = self._header(metadata, spare)
        self._length = len(header)
        self._places, end = {}, len(header)
        for name, tensor in tensors.items():
            self._places[name], end = end, end + tensor.bytes
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            os.posix_fallocate(self._file, 0, end)
            self._put(header, 0)
        except OSError:
            os.close(self._file)
            raise

    def __enter__(self) -> "StateWriter":
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)

    def write(self, name: str, start: int, numbers: Tensor) -> None:
        """Write flattened numbers of the CPU from a place of a tensor on; any thread may do so."""
        bytes_ = numbers.view(torch.uint8) if numbers.numel() else torch.empty(0, dtype=torch.uint8)
        self._put(bytes_.numpy(), self._places[name] + start * numbers.dtype.itemsize)

    def finish(self, metadata: Mapping[str, str] | None = None) -> None:
        """Bring all to the disk, with new texts in the header where some are given."""
        if metadata is not None:
            self._put(self._header(metadata), 0)
        os.fsync(self._file)

    def _put(self, content, place: int) -> None:
        rest = memoryview(content)
        while rest:
            count = os.pwrite(self._file, rest, place)
            rest, place = rest[count:], place + count

    def _header(self, metadata: Mapping[str, str], spare: int = 0) -> bytes:
        """Make the header, as long as the one that was made first."""
        entries: dict[str, object] = {"__metadata__": dict(metadata)}
        end = 0
        for name, tensor in self._tensors.items():
            start, end = end, end + tensor.bytes
            entries[name] = {
                "dtype": CODES[tensor.dtype],
                "shape": list(tensor.shape),
                "data_offsets": [start, end],
            }
        text = json.dumps(entries, separators=(",", ":")).encode()
        size = self._length - 8 if self._length else math.ceil((len(text) + spare) / 8) * 8
        if len(text) > size:
            raise ValueError(f"a header of {len(text)} bytes does not fit into {size}")
        return size.to_bytes(8, "little") + text.ljust(size)
