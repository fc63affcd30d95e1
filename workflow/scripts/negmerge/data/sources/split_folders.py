"""An archive with a folder for each split, and in it a folder of images for each class.

The layout is that of the code of Task Arithmetic and its followers, in which `val` holds the
official test images: `sun397/train/a_abbey/sun_x.jpg`, `sun397/val/a_abbey/sun_y.jpg`.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from negmerge.data.archives import Member, members
from negmerge.data.sources.archive_folders import SUFFIXES
from negmerge.data.tables import label_numbers
from negmerge.errors import UserError


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `images`, sorted by class and file name as text."""
    archive, options = files["images"], row["options"]
    root, folders = PurePosixPath(options["root"]), options["folders"]
    splits = {root / folder: split for split, folder in folders.items()}
    found = {}
    for member in members(archive):
        path = PurePosixPath(member.name)
        split = splits.get(path.parent.parent)
        if split and path.suffix.lower() in SUFFIXES:
            found[member.name] = (split, path.parent.name, path.name)
    for folder, split in splits.items():
        if split not in {one for one, _, _ in found.values()}:
            raise UserError(f"{archive}: holds no images at {folder}/CLASS/")
    labels = label_numbers((name for _, name, _ in found.values()), row, archive)
    for member in members(archive):
        if member.name in found:
            split, name, file = found[member.name]
            yield split, labels[name], member, (name, file)
