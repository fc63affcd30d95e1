"""The IDX files of MNIST and Fashion-MNIST, as their authors publish them, or unpacked."""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO

import numpy as np
from PIL import Image

from negmerge.data.archives import Limits, read_file
from negmerge.errors import UserError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
# What an IDX file begins with that is not gzipped.
UNPACKED = bytes(2)
# All of a file is in memory at once; MNIST's largest has 47 MB.
MOST_BYTES = 2**30


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Read `{split}-images` and `{split}-labels` of each split that the row counts.

    The option `first` says how many images of a split are taken; otherwise all are.
    """
    first = row["options"].get("first", {})
    limits = Limits.of(row)
    for split in row["splits"]:
        images = read_idx(files[f"{split}-images"], limits, IMAGES_MAGIC, 3)
        labels = read_idx(files[f"{split}-labels"], limits, LABELS_MAGIC, 1)
        if len(images) != len(labels):
            raise UserError(
                f"{files[f'{split}-labels']}: {len(labels)} labels for {len(images)} images"
            )
        count = first.get(split, len(images))
        for image, label in zip(images[:count], labels[:count], strict=True):
            yield split, int(label), Image.fromarray(image)


def read_idx(path: str, limits: Limits, magic: int, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not (big-endian: magic number, sizes, bytes)."""
    content = io.BytesIO(read_file(path, limits))
    try:
        with content if _is_unpacked(content) else gzip.open(content) as stream:
            shape = _read_shape(stream, path, magic, dimensions)
            size = math.prod(shape)
            # One more, to notice what is too long; at the end the checksum is compared.
            values = np.frombuffer(stream.read(size + 1), np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from error
    if values.size != size:
        found = values.size if values.size < size else f"more than {size}"
        raise UserError(f"{path}: {found} bytes of data, its header says {size}")
    return values.reshape(shape)


def _is_unpacked(content: io.BytesIO) -> bool:
    return content.getbuffer()[: len(UNPACKED)] == UNPACKED


def _read_shape(stream: BinaryIO, path: str, magic: int, dimensions: int) -> tuple[int, ...]:
    """Read the header of an IDX file."""
    header = stream.read(4 * (1 + dimensions))
    found = struct.unpack(f">{len(header) // 4}I", header[: len(header) // 4 * 4])
    if len(found) != 1 + dimensions or found[0] != magic:
        raise UserError(f"{path}: not an IDX file with magic number {magic}")
    size = math.prod(found[1:])
    if not 0 < size <= MOST_BYTES:
        raise UserError(f"{path}: its header says {size} bytes of data, expected 1 to {MOST_BYTES}")
    return found[1:]
