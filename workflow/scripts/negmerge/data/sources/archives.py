"""Images in folders of an archive, or of the disk: by class, by split, or as lists name them."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

from numpy.random import RandomState
from pydantic import Field, PositiveInt, model_validator

from negmerge.data.archives import (
    Member,
    file_name,
    label_numbers,
    lines,
    listed_members,
    members,
    read_file,
    read_members,
)
from negmerge.data.image_lists import list_images
from negmerge.data.sources import Files, Source, Split, images_only
from negmerge.errors import UserError
from negmerge.settings.recipe import Seed, Settings

Items = Iterator[tuple[str, int, Member, tuple]]
SUFFIXES = (".jpg", ".jpeg", ".png")


class FolderOptions(Settings):
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


def read_folders(files: Files, row: Mapping) -> Items:
    """Read a folder for each class, `2750/Forest/Forest_1.jpg`, cut at random by class."""
    archive, options = files["images"], row["options"]
    paths = sorted(PurePosixPath(member.name) for member in members(archive))
    paths = [path for path in paths if path.suffix.lower() in SUFFIXES]
    labels = label_numbers([path.parent.name for path in paths], row, archive)
    if options.get("numbered"):
        labels = {name: int(name) for name in labels}
    splits = cut(paths, options["held_out"], options["seed"], archive)
    for member in members(archive):
        path = PurePosixPath(member.name)
        if path in splits:
            label = labels[path.parent.name]
            yield splits[path], label, member, (label, path.name)


def cut(
    paths: list[PurePosixPath], held_out: Mapping[str, float], seed: int, where: str
) -> dict[PurePosixPath, str]:
    """Draw the split of each file, class by class."""
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


class SplitOptions(Settings):
    root: str = Field(description="The folder of the splits in the archive.")
    folders: dict[Split, str] = Field(description="The folder of each split.")


def read_split_folders(files: Files, row: Mapping) -> Items:
    """Read `sun397/train/a_abbey/sun_x.jpg`: a folder for each split, with one for each class."""
    archive, options = files["images"], row["options"]
    splits = {PurePosixPath(options["root"], f): split for split, f in options["folders"].items()}
    places = {}
    for member in members(archive):
        path = PurePosixPath(member.name)
        split = splits.get(path.parent.parent)
        if split and path.suffix.lower() in SUFFIXES:
            places[member.name] = split, path.parent.name, path.name
    if not places:
        raise UserError(f"{archive}: holds no images at {' or '.join(map(str, splits))}/CLASS/")
    labels = label_numbers((name for _, name, _ in places.values()), row, archive)
    for member, (split, name, file) in listed_members(archive, places):
        yield split, labels[name], member, (name, file)


class ListPlace(Settings):
    """A list of images: a file of the row, or a member of an archive of the row."""

    file: str
    member: str | None = None


class ListOptions(Settings):
    root: str = Field(description="The folder of the classes in the archive.")
    lists: dict[Split, list[ListPlace]] = Field(description="Lists of the images of each split.")

    def files(self, splits: object) -> set[str]:
        return {"images"} | {place.file for places in self.lists.values() for place in places}


def read_lists(files: Files, row: Mapping) -> Items:
    """Read the images that lists name, sorted by class and file name.

    A line of a list is `banded/banded_0002.jpg` in DTD, `/j/jail/indoor/sun_x.jpg` in SUN397, and
    `sea_ice_001.jpg` of the class sea_ice in RESISC45.
    """
    places = [(split, p) for split, lists in row["options"]["lists"].items() for p in lists]
    texts: dict[tuple[str, str | None], bytes] = {}
    # Each archive is read once for all lists in it.
    for file in {place["file"] for _, place in places}:
        inside = [p["member"] for _, p in places if p["file"] == file and p.get("member")]
        contents = read_members(files[file], inside) if inside else [read_file(files[file])]
        texts |= {(file, m): c for m, c in zip(inside or [None], contents, strict=True)}
    splits: dict[str, str] = {}
    for split, place in places:
        path = files[place["file"]]
        for line in lines(texts[place["file"], place.get("member")], path):
            image = line.strip("/")
            # File names that stand alone start with their class.
            image = image if "/" in image else f"{image.rpartition('_')[0]}/{image}"
            if image in splits:
                raise UserError(f"{path}: {line} is in two lists")
            splits[image] = split
    # As single folders, whose order is that of SUN397's labels: sorted by slash paths, jail/indoor
    # would stand before jail_cell.
    folders = {image: image.rpartition("/")[0].replace("/", "_") for image in splits}
    labels = label_numbers(folders.values(), row, "the lists")
    root = row["options"]["root"] + "/"

    def below_root(name: str) -> str:
        return name.removeprefix(root) if name.startswith(root) else ""

    for member, split in listed_members(files["images"], splits, below_root):
        folder = folders[below_root(member.name)]
        yield split, labels[folder], member, (folder, file_name(member.name))


def read_folder(files: Files, row: Mapping) -> Items:
    """Read images of one's own as `image_lists.list_images` finds them."""
    place = files["images"]
    listed = list_images(place, files.get("list"))
    labels = {name: label for label, name in enumerate(listed.classes)}
    numbers = {image.member: number for number, image in enumerate(listed.images)}
    pairs = listed_members(place, numbers)
    if Path(place).is_dir():
        # In their order, and through links to folders, which `members` does not follow.
        pairs = ((_on_disk(place, name), number) for name, number in numbers.items())
    for member, number in pairs:
        image = listed.images[number]
        yield image.split, labels[image.class_name], member, (number,)


def _on_disk(place: str, name: str) -> Member:
    path = Path(place, name)
    return Member(place, name, path.stat().st_size, partial(path.open, "rb"))


SOURCES = {
    "archive-folders": Source(read_folders, images_only, FolderOptions),
    "archive-lists": Source(read_lists, ListOptions.files, ListOptions),
    "folder": Source(read_folder, images_only),
    "split-folders": Source(read_split_folders, images_only, SplitOptions),
}
