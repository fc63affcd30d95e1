"""An archive with a folder of images for each class and no split of its own (EuroSAT).

The layout is that of EuroSAT.zip: `2750/Forest/Forest_1.jpg`.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from numpy.random import RandomState

from negmerge.data.archives import Member, members
from negmerge.data.tables import label_numbers, whole_number
from negmerge.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png")


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Member, tuple]]:
    """Read `images`, cut at random within each class.

    The option `held_out` says for each split but `train` how many images of each class it takes: a
    number of images, or a share below 1, rounded. The option `seed` draws them.
    Classes and files are sorted by their names as text, so 10 comes before 2; with the option
    `numbered`, the names of the folders are the labels.
    """
    archive = files["images"]
    names = [member.name for member in members(archive)]
    paths = sorted(path for path in map(PurePosixPath, names) if path.suffix.lower() in SUFFIXES)
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
    """Return to which split each file belongs."""
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
