"""Images of one's own, as a folder, an archive or a table lists them; nothing is decoded."""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from negmerge.data.archives import csv_rows, members
from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, unknown

# Of a table of images; paths may begin with the split in place of the last one.
COLUMNS = ("path", "class", "split")
# Of the files of images, as torchvision's ImageFolder has them; others beside them do not count.
SUFFIXES = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class ListedImage:
    """An image."""

    name: str  # its path in the data set, such as `train/cat/1.jpg`
    member: str  # its path in the folder or archive; longer where all images lie in one more folder
    bytes: int  # the size of its file
    split: str  # one of `splits.SPLITS`
    class_name: str  # its class


@dataclass(frozen=True)
class ImageList:
    """The images of a data set in its order: by split, class, folder and file name."""

    classes: list[str]  # their names in the order of the labels
    images: list[ListedImage]  # all images

    @cached_property
    def counts(self) -> dict[str, int]:
        return dict(Counter(image.split for image in self.images))

    @property
    def bytes(self) -> int:
        return sum(image.bytes for image in self.images)

    def class_counts(self, split: str) -> dict[str, int]:
        counts = Counter(image.class_name for image in self.of(split))
        return {name: counts[name] for name in self.classes}

    def of(self, split: str) -> list[ListedImage]:
        """Return the images of a split; the place of each is its position there."""
        return [image for image in self.images if image.split == split]

    @property
    def digest(self) -> str:
        """A checksum of names, sizes, splits and classes, which an added image changes."""
        digest = hashlib.sha256()
        for image in self.images:
            fields = image.name, str(image.bytes), image.split, image.class_name
            digest.update("\0".join(fields).encode() + b"\n")
        return digest.hexdigest()[:16]


def list_images(place: str | Path, table: str | Path | None = None) -> ImageList:
    """List the images of a data set in the order of torchvision's ImageFolder."""
    if not Path(place).exists():
        raise UserError(f"{place}: no such folder or archive, but a data set is read from it")
    files = {name: size for name, size in _files(place) if name.lower().endswith(SUFFIXES)}
    if not files:
        raise UserError(f"{place}: holds no images; expected files {', '.join(SUFFIXES)}")
    rows = _by_folders(place, files) if table is None else _by_table(table, place, files)
    classes = _classes(table or place, rows, numbers=table is not None)
    labels = {name: label for label, name in enumerate(classes)}

    def order(image: ListedImage) -> tuple:
        folder, _, file = image.name.rpartition("/")
        return SPLITS.index(image.split), labels[image.class_name], folder, file

    return ImageList(classes, sorted(rows, key=order))


def _files(place: str | Path) -> Iterator[tuple[str, int]]:
    if not Path(place).is_dir():
        yield from ((member.name, member.size) for member in members(str(place)))
        return
    # Links to folders are followed, as ImageFolder does.
    for folder, _, names in os.walk(place, followlinks=True):
        inside = Path(folder).relative_to(place)
        for name in names:
            try:
                yield str(PurePosixPath(inside, name)), os.path.getsize(os.path.join(folder, name))
            except OSError as error:
                raise UserError(f"{folder}/{name}: cannot be read: {error.strerror}") from error


def _by_folders(place: str | Path, files: Mapping[str, int]) -> list[ListedImage]:
    """Read split and class off the folders in which images lie."""
    # All of them may lie in one more folder.
    tops = {name.rpartition("/")[0].partition("/")[0] for name in files}
    top = tops.pop() if len(tops) == 1 else ""
    start = f"{top}/" if top and top not in SPLITS else ""
    rows = []
    for member, size in files.items():
        name = member.removeprefix(start)
        split, *rest = name.split("/")
        if split not in SPLITS:
            raise UserError(f"{place}: {member!r}: {unknown('split', split, SPLITS)}")
        if len(rest) < 2:
            raise UserError(f"{place}: {member!r} lies in no class; expected {split}/CLASS/FILE")
        rows.append(ListedImage(name, member, size, split, rest[0]))
    # No class of a folder on the disk is empty; archives need not list folders.
    full = {(row.split, row.class_name) for row in rows}
    for split in sorted({split for split, _ in full}):
        for folder in sorted(path for path in Path(place, start, split).glob("*") if path.is_dir()):
            if (split, folder.name) not in full:
                raise UserError(f"{folder}: the class has no images; fill the folder or delete it")
    return rows


def _by_table(table: str | Path, place: str | Path, files: Mapping[str, int]) -> list[ListedImage]:
    rows: dict[str, ListedImage] = {}
    for where, row in csv_rows(str(table), COLUMNS[:2], known=COLUMNS):
        if not row["path"] or not row["class"]:
            raise UserError(f"{where}: path {row['path']!r}, class {row['class']!r}; expected both")
        name = str(PurePosixPath(row["path"]))
        if name not in files:
            raise UserError(f"{where}: {name!r} is no image in {place}")
        if name in rows:
            raise UserError(f"{where}: {name!r} is there twice")
        split = row.get("split") or name.partition("/")[0]
        if split not in SPLITS:
            raise UserError(f"{where}: {unknown('split', split, SPLITS)}")
        rows[name] = ListedImage(name, name, files[name], split, row["class"])
    return list(rows.values())


def _classes(where: str | Path, rows: Iterable[ListedImage], numbers: bool) -> list[str]:
    """Sort the names of the classes; each must have training images."""
    trained = {row.class_name for row in rows if row.split == "train"}
    for row in rows:
        if row.class_name not in trained:
            raise UserError(
                f"{where}: class {row.class_name!r} has images in {row.split!r}, such as "
                f"{row.name!r}, but none in 'train'"
            )
    if len(trained) < 2:
        raise UserError(f"{where}: {len(trained)} classes, expected at least 2")
    are_numbers = numbers and all(name.isascii() and name.isdigit() for name in trained)
    return sorted(trained, key=int) if are_numbers else sorted(trained)
