"""Numbers of classes whose names are sorted, as in folders of images."""

from collections.abc import Iterable, Mapping

from negmerge.errors import UserError


def label_numbers(names: Iterable[str], row: Mapping, where: str) -> dict[str, int]:
    """Number the classes of a data set in the order of their names.

    Raises:
        UserError: there are not as many as the data set's row says, so the numbers would be wrong.
    """
    found = sorted(set(names))
    if len(found) != row["classes"]:
        raise UserError(f"{where}: {len(found)} classes, expected {row['classes']}")
    return {name: number for number, name in enumerate(found)}
