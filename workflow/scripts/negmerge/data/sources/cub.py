"""Caltech-UCSD Birds-200-2011 (Wah et al., 2011): an archive with lists beside the images."""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import Member, listed_members, read_members
from negmerge.data.tables import table, whole_number
from negmerge.errors import UserError

FOLDER = "CUB_200_2011"
LISTS = tuple(
    f"{FOLDER}/{name}.txt" for name in ("images", "image_class_labels", "train_test_split")
)
SPLITS = {"1": "train", "0": "test"}


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read the images in the order of their ids."""
    path = files["images"]
    contents = read_members(path, list(LISTS))
    names, labels, splits = (
        dict(table(content, f"{path}: {name}", 2))
        for name, content in zip(LISTS, contents, strict=True)
    )
    if not names.keys() == labels.keys() == splits.keys():
        raise UserError(f"{path}: its lists name different images")
    wanted = {f"{FOLDER}/images/{name}": number for number, name in names.items()}
    for member, number in listed_members(path, wanted):
        where = f"{path}: image {number}"
        if splits[number] not in SPLITS:
            raise UserError(f"{where}: {LISTS[2]} says {splits[number]!r}, expected 0 or 1")
        label = whole_number(labels[number], f"{where}: {LISTS[1]}") - 1
        place = whole_number(number, f"{path}: {LISTS[0]}")
        yield SPLITS[splits[number]], label, member, (place,)
