"""An archive with a folder of images for each class, and lists that name those of each split.

Layouts, with a line of a list after the arrow:

- DTD: `dtd/images/banded/banded_0002.jpg` <- `banded/banded_0002.jpg`;
- SUN397: `SUN397/a/arch/sun_x.jpg`, `SUN397/j/jail/indoor/sun_x.jpg` <- `/j/jail/indoor/sun_x.jpg`;
- RESISC45: `NWPU-RESISC45/sea_ice/sea_ice_001.jpg` <- `sea_ice_001.jpg`.
"""

from collections.abc import Iterator, Mapping

from negmerge.data.archives import (
    Member,
    file_name,
    listed_members,
    read_file,
    read_members,
)
from negmerge.data.tables import label_numbers, lines
from negmerge.errors import UserError


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read those images in `images` that a list names, sorted by class and file name.

    The option `root` is the folder of the classes in the archive. `lists` has lists for each split:
    each is a file of the row (`file`), or a member (`member`) of an archive of the row.
    """
    root = row["options"]["root"]
    splits: dict[str, str] = {}
    for split, lists in row["options"]["lists"].items():
        for place in lists:
            for line in read_list(files, place):
                path = image_path(line)
                if path in splits:
                    raise UserError(f"{files[place['file']]}: {line} is in two lists")
                splits[path] = split
    labels = label_numbers(map(class_folder, splits), row, "the lists")
    listed = {path: (split, class_folder(path)) for path, split in splits.items()}

    def below_root(name: str) -> str:
        return name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else ""

    for member, (split, folder) in listed_members(files["images"], listed, below_root):
        yield split, labels[folder], member, (folder, file_name(member.name))


def read_list(files: Mapping[str, str], place: Mapping[str, str]) -> list[str]:
    """Read the lines of a list that are not empty."""
    path = files[place["file"]]
    if place.get("member"):
        (content,) = read_members(path, [place["member"]])
        return lines(content, f"{path}: {place['member']}")
    return lines(read_file(path), path)


def image_path(line: str) -> str:
    """Turn a line of a list into a path below the root; file names start with their class."""
    path = line.strip("/")
    return path if "/" in path else f"{path.rpartition('_')[0]}/{path}"


def class_folder(path: str) -> str:
    """Name the class of an image as a single folder: j/jail/indoor/x.jpg is of j_jail_indoor.

    The order of these names is that of SUN397's labels: sorted by slash paths, jail/indoor would
    stand before jail_cell.
    """
    return path.rpartition("/")[0].replace("/", "_")
