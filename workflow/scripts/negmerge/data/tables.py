"""Text files beside images, and the numbers of classes that their names stand for."""

import re
from collections.abc import Iterable, Mapping, Sequence

from negmerge.errors import UserError


def lines(content: bytes, where: str) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not a text file ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def table(
    content: bytes, where: str, columns: int | None = None, separator: str | None = None
) -> list[list[str]]:
    """Read a table, line by line."""
    found = [line.split(separator) for line in lines(content, where)]
    if not found:
        raise UserError(f"{where}: the table is empty")
    columns = columns or len(found[0])
    for number, cells in enumerate(found, 1):
        if len(cells) != columns:
            raise UserError(f"{where}: line {number} has {len(cells)} columns, expected {columns}")
    return found


def whole_number(text: str, where: str) -> int:
    """Read a number of digits only."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UserError(f"{where}: {text!r:.40} is not a whole number")
    return int(text)


def label_numbers(names: Iterable[str], row: Mapping, where: str) -> dict[str, int]:
    """Number the classes of a data set in the order of their names."""
    found = sorted(set(names))
    if len(found) != row["classes"]:
        raise UserError(f"{where}: {len(found)} classes, expected {row['classes']}")
    return {name: number for number, name in enumerate(found)}


def class_numbers(found: Sequence[str], expected: Sequence[str], where: str) -> list[int]:
    """Return our number of each class of a file, by its name."""
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
