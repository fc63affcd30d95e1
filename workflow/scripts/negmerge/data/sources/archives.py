"""Image files in the folders of archives: classes by folders or lists, and images of one's own."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from negmerge.data.archives import (
    Member,
    file_name,
    label_numbers,
    lines,
    listed_members,
    members,
    read_file,
    whole_number,
)
from negmerge.data.image_lists import list_images
from negmerge.data.sources import Files, Options, Seed, Source, Split, images_only
from negmerge.errors import UserError

Members = Iterator[tuple[str, int, Member, tuple]]
SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderOptions(Options):
    held_out: dict[Split, PositiveInt | Annotated[float, Field(gt=0, lt=1)]] = Field(
        description="Images of each class for each split but `train`: a number, or a share below 1."
    )
    seed: Seed = Field(description="Of the draw within each class.")
    numbered: bool = Field(
        False, description="The folders' names are labels: 0, 1, 2, ...; else they are sorted."
    )

    @model_validator(mode="after")
    def _at_most_all(self):
        if "train" in self.held_out:
            raise ValueError("held_out: `train` takes what the others leave")
        if sum(share for share in self.held_out.values() if share < 1) >= 1:
            raise ValueError("held_out: the shares leave nothing to train on")
        return self


def read_folders(files: Files, row: Mapping) -> Members:
    """Read a folder for each class, without splits: `2750/Forest/Forest_1.jpg` of EuroSAT.zip.

    Classes and files are sorted by their names as text, so 10 comes before 2.
    """
    archive = files["images"]
    paths = sorted(PurePosixPath(member.name) for member in members(archive))
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    labels = label_numbers([path.parent.name for path in paths], row, archive)
    if row["options"].get("numbered"):
        labels = {name: whole_number(name, f"{archive}: the folder") for name in labels}
    splits = cut(paths, row["options"]["held_out"], row["options"]["seed"], archive)
    for member in members(archive):
        path = PurePosixPath(member.name)
        if path in splits:
            label = labels[path.parent.name]
            yield splits[path], label, member, (label, path.name)


def cut(
    paths: list[PurePosixPath], held_out: Mapping[str, float], seed: int, where: str
) -> dict[PurePosixPath, str]:
    """Draw within each class to which split each file belongs."""
    from numpy.random import RandomState

    classes: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in paths:
        classes.setdefault(path.parent, []).append(path)
    splits = dict.fromkeys(paths, "train")
    for number, (folder, files) in enumerate(classes.items()):
        counts = {
            split: amount if amount >= 1 else round(amount * len(files))
            for split, amount in held_out.items()
        }
        if sum(counts.values()) > len(files):
            raise UserError(
                f"{where}: {str(folder)!r} has {len(files)} images, {sum(counts.values())} of each "
                "class are held out"
            )
        drawn = iter(RandomState([seed, number]).permutation(len(files)).tolist())
        for split, count in counts.items():
            for _ in range(count):
                splits[files[next(drawn)]] = split
    return splits


class ListPlace(Options):
    """A list of images: a file of the row, or a member of an archive of the row."""

    file: str
    member: str | None = None


class ListOptions(Options):
    root: str = Field(description="The folder of the classes in the archive.")
    lists: dict[Split, list[ListPlace]] = Field(description="Lists of the images of each split.")


def read_lists(files: Files, row: Mapping) -> Members:
    """Read the images that lists name, sorted by class and file name.

    Layouts, with a line of a list after the arrow:

    - DTD: `dtd/images/banded/banded_0002.jpg` <- `banded/banded_0002.jpg`;
    - SUN397: `SUN397/j/jail/indoor/sun_x.jpg` <- `/j/jail/indoor/sun_x.jpg`;
    - RESISC45: `NWPU-RESISC45/sea_ice/sea_ice_001.jpg` <- `sea_ice_001.jpg`.
    """
    root = row["options"]["root"]
    listed: dict[str, tuple[str, str]] = {}
    for split, lists in row["options"]["lists"].items():
        for place in lists:
            where = "/".join(filter(None, (files[place["file"]], place.get("member"))))
            for line in lines(read_file(where), where):
                path = line.strip("/")
                # Without folders, a file's name starts with its class.
                path = path if "/" in path else f"{path.rpartition('_')[0]}/{path}"
                # SUN397's labels number such names: by their paths, jail/indoor would stand before
                # jail_cell.
                folder = path.rpartition("/")[0].replace("/", "_")
                if path in listed:
                    raise UserError(f"{where}: {line} is in two lists")
                listed[path] = (split, folder)
    labels = label_numbers((folder for _, folder in listed.values()), row, "the lists")

    def below_root(name: str) -> str:
        return name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else ""

    for member, (split, folder) in listed_members(files["images"], listed, below_root):
        yield split, labels[folder], member, (folder, file_name(member.name))


class SplitOptions(Options):
    root: str = Field(description="The folder of the splits in the archive.")
    folders: dict[Split, str] = Field(description="The folder of each split.")


def read_splits(files: Files, row: Mapping) -> Members:
    """Read a folder for each split, and in it one for each class, by class and file name as text.

    So it is in the code of Task Arithmetic and its followers, where `val` holds the official test
    images: `sun397/train/a_abbey/sun_x.jpg`, `sun397/val/a_abbey/sun_y.jpg`.
    """
    archive, root = files["images"], PurePosixPath(row["options"]["root"])
    splits = {root / folder: split for split, folder in row["options"]["folders"].items()}
    places = {}
    for member in members(archive):
        path = PurePosixPath(member.name)
        split = splits.get(path.parent.parent)
        if split and path.suffix.lower() in SUFFIXES:
            places[member.name] = (split, path.parent.name, path.name)
    for folder, split in splits.items():
        if split not in {place[0] for place in places.values()}:
            raise UserError(f"{archive}: holds no images at {folder}/CLASS/")
    labels = label_numbers((name for _, name, _ in places.values()), row, archive)
    for member, (split, name, file) in listed_members(archive, places):
        yield split, labels[name], member, (name, file)


def read_own(files: Files, row: Mapping) -> Members:
    """Read a folder or an archive of the user's, see `image_lists.list_images`."""
    place = files["images"]
    images = list_images(place, files.get("list"))
    labels = {name: label for label, name in enumerate(images.classes)}
    places = {image.member: number for number, image in enumerate(images.images)}
    for member, number in _own_members(place, places):
        image = images.images[number]
        yield image.split, labels[image.class_name], member, (number,)


def _own_members(place: str, places: Mapping[str, int]) -> Iterator[tuple[Member, int]]:
    if not Path(place).is_dir():
        yield from listed_members(place, places)
        return
    for name, number in places.items():
        path = Path(place, name)
        yield Member(place, name, path.stat().st_size, partial(path.open, "rb")), number


def _listed(options: ListOptions, splits: object) -> set[str]:
    return {"images"} | {place.file for places in options.lists.values() for place in places}


SOURCES = {
    "archive-folders": Source(read_folders, images_only, FolderOptions),
    "archive-lists": Source(read_lists, _listed, ListOptions),
    "folder": Source(read_own, images_only),
    "split-folders": Source(read_splits, images_only, SplitOptions),
}
