"""The file of a merged vector, written block by block, with the report in its header."""

import json
import math
import os
from collections.abc import Mapping
from typing import BinaryIO

import torch
from torch import Tensor

from negmerge.merging.blocks import Block, Vectors

CODES = {torch.float32: "F32", torch.float64: "F64"}


class Output:
    """A safetensors file in the making.

    Args:
        stream: a file opened for writing.
        pool: the vectors that are merged; the file gets their tensors.
        report: what the header will say, with values at least as long as the final ones.
    """

    def __init__(self, stream: BinaryIO, pool: Vectors, report: Mapping):
        self._stream, self._pool = stream, pool
        self._places, header = self._header(report, 0)
        self._length = len(header)
        stream.write(header)
        stream.truncate(len(header) + sum(map(self._bytes, pool.shapes)))

    def write(self, block: Block, rows: Tensor) -> None:
        """Write the merged rows of a block at their place."""
        place = self._places[block.name] + block.start * rows.dtype.itemsize
        rest = memoryview(rows.contiguous().numpy()).cast("B")
        while rest:
            count = os.pwrite(self._stream.fileno(), rest, place)
            rest, place = rest[count:], place + count

    def finish(self, report: Mapping) -> None:
        """Write the final header over the first one."""
        self._stream.seek(0)
        self._stream.write(self._header(report, self._length)[1])

    def _bytes(self, name: str) -> int:
        return math.prod(self._pool.shapes[name]) * self._pool.dtypes[name].itemsize

    def _header(self, report: Mapping, length: int) -> tuple[dict[str, int], bytes]:
        """Make a header, padded with blanks to `length` bytes, and place the tensors."""
        # One entry, since safetensors does not keep the order of several.
        metadata = {"negmerge": json.dumps(report, sort_keys=True)}
        entries: dict[str, object] = {"__metadata__": metadata}
        offsets, end = {}, 0
        for name, shape in sorted(self._pool.shapes.items()):
            offsets[name], end = end, end + self._bytes(name)
            entries[name] = {
                "dtype": CODES[self._pool.dtypes[name]],
                "shape": list(shape),
                "data_offsets": [offsets[name], end],
            }
        text = json.dumps(entries, separators=(",", ":")).encode()
        size = max(math.ceil(len(text) / 8) * 8, length - 8)
        header = size.to_bytes(8, "little") + text.ljust(size)
        return {name: len(header) + offset for name, offset in offsets.items()}, header
