"""Numbers of classes by their names: sorted, as in folders of images, or as a list has them."""

import re
from collections.abc import Iterable, Mapping, Sequence

from negmerge.errors import UserError


def label_numbers(names: Iterable[str], row: Mapping, where: str) -> dict[str, int]:
    """Number the classes of a data set in the order of their names."""
    found = sorted(set(names))
    if len(found) != row["classes"]:
        raise UserError(f"{where}: {len(found)} classes, expected {row['classes']}")
    return {name: number for number, name in enumerate(found)}


def class_numbers(found: Sequence[str], expected: Sequence[str], where: str) -> list[int]:
    """Return our number of each class of a file, by its name.

    Case, and what stands between words, do not count.
    """
    ours = {_plain(name): number for number, name in enumerate(expected)}
    theirs = [_plain(name) for name in found]
    for name, plain in zip(found, theirs, strict=True):
        if plain not in ours:
            raise UserError(f"{where}: {name!r} is not a class of the data set in prompts.yaml")
    if missing := sorted(ours.keys() - set(theirs)):
        raise UserError(f"{where}: {len(missing)} classes are missing, such as {missing[0]!r}")
    if not len(set(theirs)) == len(theirs) == len(expected):
        raise UserError(f"{where}: a class name appears twice, so names do not tell the classes")
    return [ours[plain] for plain in theirs]


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\W_]+", name.casefold())).strip()
