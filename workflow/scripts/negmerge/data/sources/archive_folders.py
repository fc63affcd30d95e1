"""An archive with a folder of images for each class and no split of its own (EuroSAT).

The layout is that of EuroSAT.zip: `2750/Forest/Forest_1.jpg`.
"""

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from numpy.random import RandomState

from negmerge.data.archives import Limits, members
from negmerge.data.labels import label_numbers

SUFFIXES = (".jpg", ".jpeg", ".png")


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, bytes, tuple]]:
    """Read `images`, cut at random within each class.

    The option `shares` gives each split but `train` its share of each class, and `seed` draws.
    Classes and files are sorted by their names as text, so 10 stands before 2.
    """
    limits = Limits.of(row)
    names = [m.name for m in members(files["images"], limits)]
    paths = sorted(path for path in map(PurePosixPath, names) if path.suffix.lower() in SUFFIXES)
    labels = label_numbers([path.parent.name for path in paths], row, files["images"])
    splits = cut(paths, row["options"]["shares"], row["options"]["seed"])
    for member in members(files["images"], limits):
        path = PurePosixPath(member.name)
        if path in splits:
            label = labels[path.parent.name]
            yield splits[path], label, member.read(), (label, path.name)


def cut(
    paths: list[PurePosixPath], shares: Mapping[str, float], seed: int
) -> dict[PurePosixPath, str]:
    """Say to which split each file belongs.

    Args:
        paths: of the files, sorted; a class is a folder.
        shares: of each class, for each split but `train`, which takes the rest; rounded.
        seed: of the draw. One generator serves the classes in turn.
    """
    random = RandomState(seed)
    classes: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path in paths:
        classes.setdefault(path.parent, []).append(path)
    splits = dict.fromkeys(paths, "train")
    for one in classes.values():
        drawn = iter(random.permutation(len(one)).tolist())
        for split, share in shares.items():
            for _ in range(round(share * len(one))):
                splits[one[next(drawn)]] = split
    return splits
