"""The IDX files of MNIST and Fashion-MNIST, as their authors publish them, or unpacked."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from negmerge.data.archives import read_file
from negmerge.errors import UserError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049
# What an IDX file begins with that is not gzipped.
UNPACKED = bytes(2)


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Read `{split}-images` and `{split}-labels` of each split that the row counts.

    The option `first` says how many images of a split are taken; otherwise all are.
    """
    first = row["options"].get("first", {})
    for split in row["splits"]:
        images = read_idx(files[f"{split}-images"], IMAGES_MAGIC, 3)
        labels = read_idx(files[f"{split}-labels"], LABELS_MAGIC, 1)
        if len(images) != len(labels):
            raise UserError(
                f"{files[f'{split}-labels']}: {len(labels)} labels for {len(images)} images"
            )
        count = first.get(split, len(images))
        for image, label in zip(images[:count], labels[:count], strict=True):
            yield split, int(label), Image.fromarray(image)


def read_idx(path: str, magic: int, dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes, gzipped or not (big-endian: magic number, sizes, bytes)."""
    content = read_file(path)
    try:
        if not content.startswith(UNPACKED):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from error
    length = 4 * (1 + dimensions)
    header = struct.unpack(f">{1 + dimensions}I", content[:length].ljust(length, b"\0"))
    if len(content) < length or header[0] != magic:
        raise UserError(f"{path}: not an IDX file with magic number {magic}")
    shape = header[1:]
    values, size = np.frombuffer(content[length:], np.uint8), math.prod(shape)
    if values.size != size:
        raise UserError(f"{path}: {values.size} bytes of data, its header says {size}")
    return values.reshape(shape)
