"""The IDX files of MNIST and Fashion-MNIST, as their authors publish them."""

import gzip
import zlib
from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from negmerge.errors import UserError

IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Read `{split}-images` and `{split}-labels` of each split that the row counts.

    The option `first` says of a split how many of its images are taken; otherwise all are.
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
    """Read a gzipped IDX file of bytes (format: big-endian: magic number, sizes, bytes).

    Raises:
        UserError: the file is truncated, or not an IDX file of the expected kind.
    """
    try:
        with gzip.open(path) as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: not a whole gzip file ({error})") from error
    header = np.frombuffer(data[: 4 * (1 + dimensions)], ">i4")
    if len(header) != 1 + dimensions or header[0] != magic:
        raise UserError(f"{path}: not an IDX file with magic number {magic}")
    shape = header[1:]
    values = np.frombuffer(data, np.uint8, offset=4 * (1 + dimensions))
    if values.size != np.prod(shape):
        raise UserError(f"{path}: {values.size} bytes of data, its header says {np.prod(shape)}")
    return values.reshape(shape)
