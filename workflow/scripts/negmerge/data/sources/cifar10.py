"""CIFAR-10, binary version (Krizhevsky, 2009), which needs no unpickling."""

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from negmerge.archives import Limits, listed_members
from negmerge.errors import UserError

FOLDER = "cifar-10-batches-bin"
TRAIN = tuple(f"{FOLDER}/data_batch_{number}.bin" for number in range(1, 6))
TEST = f"{FOLDER}/test_batch.bin"
SHAPE = (3, 32, 32)
CLASSES = 10


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image, tuple]]:
    """Read the five training batches and the test batch, in the order of their records."""
    places = {name: place for place, name in enumerate((*TRAIN, TEST))}
    for member, place in listed_members(files["images"], Limits.of(row), places):
        split = "test" if member.name == TEST else "train"
        records = read_records(member.read(), f"{files['images']}: {member.name}")
        for number, record in enumerate(records):
            pixels = record[1:].reshape(SHAPE).transpose(1, 2, 0)
            yield split, int(record[0]), Image.fromarray(pixels.copy()), (place, number)


def read_records(content: bytes, where: str) -> np.ndarray:
    """Cut a batch into records: a label, then 1,024 red, green and blue values each.

    Raises:
        UserError: the batch is not a whole number of records, or a label is none.
    """
    length = 1 + int(np.prod(SHAPE))
    if len(content) % length:
        raise UserError(f"{where}: {len(content)} bytes, expected a multiple of {length}")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    labels = records[:, 0]
    for place in np.flatnonzero(labels >= CLASSES)[:1]:
        raise UserError(
            f"{where}: record {place} has label {labels[place]}, expected 0..{CLASSES - 1}"
        )
    return records
