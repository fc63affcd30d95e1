"""CIFAR-100, binary version: as CIFAR-10, with the number of a coarse class before the label."""

from collections.abc import Iterator, Mapping

from PIL import Image

from negmerge.data.archives import read_members
from negmerge.data.sources.cifar10 import read_batches
from negmerge.data.tables import lines
from negmerge.errors import UserError

FOLDER = "cifar-100-binary"
BATCHES = {f"{FOLDER}/train.bin": "train", f"{FOLDER}/test.bin": "test"}
NAMES = f"{FOLDER}/fine_label_names.txt"


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image, tuple]]:
    """Read the training and the test batch, with their fine labels, in the order of the records."""
    (content,) = read_members(files["images"], [NAMES])
    names = lines(content, f"{files['images']}: {NAMES}")
    if len(names) != row["classes"] or names != sorted(names):
        raise UserError(
            f"{files['images']}: {NAMES}: {len(names)} names, expected the {row['classes']} fine "
            "classes in the order of the alphabet, as prompts.yaml has them"
        )
    yield from read_batches(files["images"], row, BATCHES, labels=2)
