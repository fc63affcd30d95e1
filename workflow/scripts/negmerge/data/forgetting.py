"""Which training images are forgotten, kept, and held out for validation: a split and its file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from negmerge.errors import UserError
from negmerge.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in a training set: int64, one dimension, ascending but for `validation`.

    Attributes:
        forget: what the unlearned model must forget.
        retain: what it must keep; Retrain sees nothing else.
        validation: what is used for neither; empty unless the rule holds images out.
        original: what the original model is trained on.
        test: positions in the test set that are scored: all, but for classes that are forgotten.
        forget_test: those of the classes that are forgotten; a file lacks it where it is empty.
    """

    forget: np.ndarray
    retain: np.ndarray
    validation: np.ndarray
    original: np.ndarray
    test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    forget_test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


TEST_PARTS = ("test", "forget_test")
PARTS = tuple(one.name for one in fields(Split) if one.name not in TEST_PARTS)
FILE_PARTS = (*PARTS, "test")  # that every file has


def check_indices(indices: Sequence[int] | np.ndarray, n: int, where: str | Path) -> np.ndarray:
    """Return indices as an int64 array, in their order.

    Args:
        indices: positions in a training set.
        n: the number of its images.
        where: what errors call the list.

    Raises:
        UserError: an index that is not a whole number, that comes twice, or that is not in 0..n-1.
    """
    try:
        array = np.asarray(indices)
    except ValueError:
        raise UserError(f"{where}: expected a list of whole numbers") from None
    if array.shape == (0,):
        return np.zeros(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UserError(f"{where}: expected a list of whole numbers")
    foreign = array[(array < 0) | (array >= n)]
    if foreign.size:
        raise UserError(
            f"{where}: index {foreign[0]} is out of range ({foreign.size} in all), expected "
            f"0..{n - 1}"
        )
    values, counts = np.unique(array, return_counts=True)
    repeated = values[counts > 1]
    if repeated.size:
        raise UserError(f"{where}: index {repeated[0]} is repeated ({repeated.size} in all)")
    return array.astype(np.int64)


def check_split(split: Split, n: int, where: str | Path) -> Split:
    """Return a split of n images, with int64 arrays.

    Raises:
        UserError: a part has repeats or foreign indices, nothing is forgotten, kept or trained on,
            or forget, retain and validation overlap; `where` names the split.
    """
    parts = {name: check_indices(vars(split)[name], n, f"{where}: {name}") for name in PARTS}
    for name in ("forget", "retain", "original"):
        if not parts[name].size:
            raise UserError(f"{where}: {name} has no image, expected at least 1 of {n}")
    for one, other in (("forget", "retain"), ("forget", "validation"), ("retain", "validation")):
        both = np.intersect1d(parts[one], parts[other])
        if both.size:
            raise UserError(
                f"{where}: {one} and {other} share index {both[0]} ({both.size} in all)"
            )
    return replace(split, **parts)


def write_split(path: str | Path, split: Split) -> None:
    """Write a split as JSON, a list of indices for each part, at once or not at all."""
    parts = (*FILE_PARTS, "forget_test") if len(split.forget_test) else FILE_PARTS
    write_json(path, {name: vars(split)[name].tolist() for name in parts})


def read_split(path: str | Path, n: int, test: int) -> Split:
    """Read a split of n training images that `write_split` or a user wrote.

    Args:
        path: the file.
        n: how many training images there are.
        test: how many test images there are.

    Raises:
        UserError: not a JSON file, a part is missing or unknown, or what `check_split` refuses.
    """
    found = read_json(path)
    if set(found) - {"forget_test"} != set(FILE_PARTS):
        names = ", ".join(found) or "nothing"
        raise UserError(f"{path}: holds {names}, expected {', '.join(FILE_PARTS)}")
    for name in set(found) - set(PARTS):
        found[name] = check_indices(found[name], test, f"{path}: {name}")
    return check_split(Split(**found), n, path)
