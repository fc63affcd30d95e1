"""Caltech-UCSD Birds-200-2011 (Wah et al., 2011): an archive with lists beside the images."""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import Limits, members, read_members
from negmerge.data.labels import require_all
from negmerge.errors import UserError

FOLDER = "CUB_200_2011"
LISTS = ("images", "image_class_labels", "train_test_split")
SPLITS = {"1": "train", "0": "test"}


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, bytes, tuple]]:
    """Read the images in the order of their ids."""
    path, limits = files["images"], Limits.of(row)
    contents = read_members(path, limits, [f"{FOLDER}/{name}.txt" for name in LISTS])
    names, labels, splits = (read_list(content, path) for content in contents)
    if not names.keys() == labels.keys() == splits.keys():
        raise UserError(f"{path}: its lists name different images")
    wanted = {f"{FOLDER}/images/{name}": number for number, name in names.items()}
    for member in members(path, limits):
        if member.name in wanted:
            number = wanted.pop(member.name)
            label = int(labels[number]) - 1
            yield SPLITS[splits[number]], label, member.read(), (int(number),)
    require_all(wanted, path)


def read_list(content: bytes, where: str) -> dict[str, str]:
    """Read a list with an id and a value in each line.

    Raises:
        UserError: a line has not two parts.
    """
    lines = [line.split() for line in content.decode().splitlines() if line.strip()]
    if not all(len(line) == 2 for line in lines):
        raise UserError(f"{where}: a list has lines that are not an id and a value")
    return dict(lines)
