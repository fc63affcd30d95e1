"""CIFAR-10, binary version (Krizhevsky, 2009), which needs no unpickling."""

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from negmerge.data.archives import listed_members
from negmerge.errors import UserError

FOLDER = "cifar-10-batches-bin"
BATCHES = {f"{FOLDER}/data_batch_{number}.bin": "train" for number in range(1, 6)}
BATCHES[f"{FOLDER}/test_batch.bin"] = "test"
SHAPE = (3, 32, 32)


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image, tuple]]:
    """Read the five training batches and the test batch, in the order of their records."""
    yield from read_batches(files["images"], row, BATCHES, labels=1)


def read_batches(
    archive: str, row: Mapping, batches: Mapping[str, str], labels: int
) -> Iterator[tuple[str, int, Image.Image, tuple]]:
    """Read some batches of an archive, in their order."""
    places = {name: place for place, name in enumerate(batches)}
    for member, place in listed_members(archive, places):
        where = f"{archive}: {member.name}"
        records = read_records(member.read(), labels, row["classes"], where)
        for number, record in enumerate(records):
            pixels = record[labels:].reshape(SHAPE).transpose(1, 2, 0)
            label = int(record[labels - 1])
            yield batches[member.name], label, Image.fromarray(pixels.copy()), (place, number)


def read_records(content: bytes, labels: int, classes: int, where: str) -> np.ndarray:
    """Cut a batch into records: labels, then 1,024 red, green and blue values each."""
    length = labels + int(np.prod(SHAPE))
    if len(content) % length:
        raise UserError(f"{where}: {len(content)} bytes, expected a multiple of {length}")
    records = np.frombuffer(content, np.uint8).reshape(-1, length)
    found = records[:, labels - 1]
    for place in np.flatnonzero(found >= classes)[:1]:
        raise UserError(
            f"{where}: record {place} has label {found[place]}, expected 0..{classes - 1}"
        )
    return records
