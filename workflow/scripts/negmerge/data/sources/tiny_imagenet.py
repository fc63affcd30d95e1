"""Tiny ImageNet of Stanford's course CS231n; its labelled validation images serve as test images.

Labels number the sorted WordNet ids, as for ImageNet and for folders of images; `wnids.txt` has
another order.
"""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import Member, listed_members, members, read_members
from negmerge.data.tables import label_numbers, lines, table
from negmerge.errors import UserError

FOLDER = "tiny-imagenet-200"
WNIDS, ANNOTATIONS = f"{FOLDER}/wnids.txt", f"{FOLDER}/val/val_annotations.txt"
COLUMNS = 6  # of the annotations: file, WordNet id, and the corners of a box
RECUT = 25  # images of each class that SalUn's code keeps as validation images


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read the training images by class and file name, the others in the order of their list.

    With the option `recut`, the first 25 official validation images of each class make the split
    `val`, and the others `test`, as SalUn's code has it (OPTML-Group/Unlearn-Saliency).
    """
    path = files["images"]
    wnids, annotations = read_members(path, [WNIDS, ANNOTATIONS])
    labels = label_numbers(lines(wnids, f"{path}: {WNIDS}"), row, path)
    classes: dict[str, int] = {}
    for name, wnid, *_ in table(annotations, f"{path}: {ANNOTATIONS}", COLUMNS):
        label = class_of(wnid, labels, f"{path}: {ANNOTATIONS}: {name}")
        classes[f"{FOLDER}/val/images/{name}"] = label
    splits = recut(classes, RECUT if row["options"].get("recut") else 0)
    for member in members(path):
        *folders, name = member.name.removeprefix(f"{FOLDER}/").split("/")
        if folders[:1] == ["train"] and folders[2:] == ["images"]:
            label = class_of(folders[1], labels, str(member))
            yield "train", label, member, (0, label, name)
    places = {name: place for place, name in enumerate(classes)}
    for member, place in listed_members(path, places):
        yield splits[member.name], classes[member.name], member, (1, place)


def class_of(wnid: str, labels: Mapping[str, int], where: str) -> int:
    """Return the label of a WordNet id."""
    if wnid not in labels:
        raise UserError(f"{where}: {wnid!r} is not a class of {WNIDS}")
    return labels[wnid]


def recut(classes: Mapping[str, int], first: int) -> dict[str, str]:
    """Return the split of each official validation image: the first of a class are `val`."""
    seen: dict[int, int] = {}
    splits = {}
    for name, label in classes.items():
        seen[label] = seen.get(label, 0) + 1
        splits[name] = "val" if seen[label] <= first else "test"
    return splits
