"""Which training images are forgotten, kept, and held out for validation: a split and its file."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np

from negmerge.errors import UserError
from negmerge.files import read_json, write_json


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in a training set: int64, one dimension, ascending but for `validation`."""

    forget: np.ndarray  # what the unlearned model must forget
    retain: np.ndarray  # what it must keep; Retrain sees nothing else
    validation: np.ndarray  # what is used for neither; empty unless the rule holds images out
    original: np.ndarray  # what the original model is trained on
    # Positions in the test set that are scored: all, but for classes that are forgotten.
    test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    # Those of the classes that are forgotten; a file lacks it where it is empty.
    forget_test: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


TEST_PARTS = ("test", "forget_test")
PARTS = tuple(one.name for one in fields(Split) if one.name not in TEST_PARTS)
FILE_PARTS = (*PARTS, "test")  # that every file has


def check_indices(indices: Sequence[int] | np.ndarray, n: int, where: str | Path) -> np.ndarray:
    """Return indices as an int64 array, in their order."""
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
    """Return a split of n images, with int64 arrays."""
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
    """Read a split of n training images that `write_split` or a user wrote."""
    found = read_json(path)
    if set(found) - {"forget_test"} != set(FILE_PARTS):
        names = ", ".join(found) or "nothing"
        raise UserError(f"{path}: holds {names}, expected {', '.join(FILE_PARTS)}")
    for name in set(found) - set(PARTS):
        found[name] = check_indices(found[name], test, f"{path}: {name}")
    return check_split(Split(**found), n, path)
