"""Images of one's own in a folder or an archive.

They lie as torchvision's ImageFolder reads them, `train/cat/1.jpg`, or a table names their classes;
see `image_lists.list_images`.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from negmerge.data.archives import Member, listed_members
from negmerge.data.image_lists import list_images


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `images`, and their classes from `list` where there is one."""
    found = list_images(files["images"], files.get("list"))
    labels = {name: label for label, name in enumerate(found.classes)}
    places = {image.member: place for place, image in enumerate(found.images)}
    for member, place in _members(files["images"], places):
        image = found.images[place]
        yield image.split, labels[image.class_name], member, (place,)


def _members(place: str, places: Mapping[str, int]) -> Iterator[tuple[Member, int]]:
    if not Path(place).is_dir():
        yield from listed_members(place, places)
        return
    for name, number in places.items():
        path = Path(place, name)
        yield Member(place, name, path.stat().st_size, partial(path.open, "rb")), number
