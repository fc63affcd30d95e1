"""Writing safetensors files piece by piece, in any order and from several threads."""

import json
import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import CODES, Layout
from negmerge.errors import UserError

# Decimal, as the hub's own splitter counts.
UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
LARGEST = "5GB"
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


def read_size(text: str) -> int:
    """Return the bytes of a size such as 5GB or 500MB, in decimal units."""
    parts = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B)", text.strip().upper())
    size = int(float(parts[1]) * UNITS[parts[2]]) if parts else 0
    if not size:
        raise UserError(f"the size {text!r} of a shard is not one such as 5GB or 500MB")
    return size


def split(
    tensors: Mapping[str, Layout], together: Iterable[Sequence[str]], limit: int | None
) -> list[list[str]]:
    """Cut a state into shards of at most `limit` bytes, and return the names of each.

    Tensors of a group `together` lie in one shard, which alone may exceed the limit.
    """
    followers = {group[0]: list(group[1:]) for group in together}
    led = {name for names in followers.values() for name in names}
    shards: list[list[str]] = [[]]
    size = 0
    for name in tensors:
        if name in led:
            continue
        group = [name, *followers.get(name, ())]
        bytes_ = sum(tensors[member].bytes for member in group)
        if limit is not None and shards[-1] and size + bytes_ > limit:
            shards.append([])
            size = 0
        shards[-1] += group
        size += bytes_
    return shards


def file_names(stem: str, count: int) -> list[str]:
    """Return the names of the files of a state, such as model-00001-of-00002.safetensors."""
    if count == 1:
        return [f"{stem}.safetensors"]
    return [f"{stem}-{n:05d}-of-{count:05d}.safetensors" for n in range(1, count + 1)]


def index(tensors: Mapping[str, Layout], shards: Mapping[str, Sequence[str]]) -> dict:
    """Return the index of shards (file -> names)."""
    places = {name: file for file, names in shards.items() for name in names}
    size = sum(tensor.bytes for tensor in tensors.values())
    return {
        "metadata": {"total_size": size},
        "weight_map": {name: places[name] for name in sorted(places)},
    }
