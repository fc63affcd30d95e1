"""Which training images are forgotten, kept and held out, drawn by RandomState (NEP 19)."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.random import RandomState

from negmerge.data.splits import VALIDATION_SHARE
from negmerge.errors import UserError
from negmerge.files import read_json, write_json

NO_POSITIONS = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Split:
    """Positions in a training set: int64, one dimension, ascending but for `validation`."""

    forget: np.ndarray  # what the unlearned model must forget
    retain: np.ndarray  # what it must keep; Retrain sees nothing else
    validation: np.ndarray  # what is used for neither; empty unless the rule holds images out
    original: np.ndarray  # what the original model is trained on
    # Positions in the test set that are scored: all, but for classes that are forgotten.
    test: np.ndarray = field(default_factory=NO_POSITIONS.copy)
    # Those of the classes that are forgotten; a file lacks it where it is empty.
    forget_test: np.ndarray = field(default_factory=NO_POSITIONS.copy)


PARTS = ("forget", "retain", "validation", "original")
TEST_PARTS = ("test", "forget_test")
FILE_PARTS = (*PARTS, "test")  # that every file has


def check_indices(indices: Sequence[int] | np.ndarray, n: int, where: str | Path) -> np.ndarray:
    """Return indices, which users may have written, as an int64 array, in their order."""
    is_list = isinstance(indices, list | np.ndarray)
    if not (is_list and all(isinstance(index, int | np.integer) for index in indices)):
        raise UserError(f"{where}: found {indices!r:.40}, expected a list of whole numbers")
    array = np.array(indices, np.int64)
    outside = array[(array < 0) | (array >= n)]
    if outside.size:
        raise UserError(f"{where}: index {outside[0]} is out of range, expected 0..{n - 1}")
    values, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise UserError(f"{where}: index {values[counts > 1][0]} is repeated")
    return array


def check_split(split: Split, n: int, where: str | Path) -> Split:
    """Return a split of n images, with int64 arrays."""
    parts = {name: check_indices(vars(split)[name], n, f"{where}: {name}") for name in PARTS}
    for name in ("forget", "retain", "original"):
        if not parts[name].size:
            raise UserError(f"{where}: {name} has no image, expected at least 1 of {n}")
    for name, other in (("forget", "retain"), ("forget", "validation"), ("retain", "validation")):
        shared = np.intersect1d(parts[name], parts[other])
        if shared.size:
            raise UserError(f"{where}: {name} and {other} share index {shared[0]}")
    return replace(split, **parts)


def write_split(path: str | Path, split: Split) -> None:
    """Write a split as JSON, a list of indices for each part, at once or not at all."""
    parts = (*FILE_PARTS, "forget_test") if len(split.forget_test) else FILE_PARTS
    write_json(path, {name: vars(split)[name].tolist() for name in parts})


def read_split(path: str | Path, n: int, test: int) -> Split:
    """Read a split of n training images that `write_split` or a user wrote."""
    parts = read_json(path)
    if set(parts) - {"forget_test"} != set(FILE_PARTS):
        names = ", ".join(parts) or "nothing"
        raise UserError(f"{path}: holds {names}, expected {', '.join(FILE_PARTS)}")
    for name in set(parts) - set(PARTS):
        parts[name] = check_indices(parts[name], test, f"{path}: {name}")
    return check_split(Split(**parts), n, path)


def forget_split(
    labels: np.ndarray,
    share: float | None,
    seed: int,
    *,
    rule: str = "uniform",
    original_seed: int | None = None,
    file: str | Path | None = None,
    names: Sequence[str] = (),
    classes: Sequence[int] = (),
) -> Split:
    """Choose which training images are forgotten, by their labels."""
    n = len(labels)
    everything = np.arange(n, dtype=np.int64)
    if rule == "given":
        forget = np.sort(check_indices(read_list(file, names), n, file))
        split = Split(forget, np.setdiff1d(everything, forget), NO_POSITIONS, everything)
        return check_split(split, n, file)
    if rule == "class":
        is_chosen = np.isin(labels, classes)
        split = Split(everything[is_chosen], everything[~is_chosen], NO_POSITIONS, everything)
        return check_split(split, n, "forget.classes")
    if rule == "salun":
        return salun(labels, share, seed, original_seed)
    return Split(*draw(everything, share, RandomState(seed)), NO_POSITIONS, everything)


def test_parts(labels: np.ndarray, classes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the positions of test images that count as `test`, and of forgotten classes."""
    is_forgotten = np.isin(labels, classes)
    parts = {"test": np.flatnonzero(~is_forgotten), "forget_test": np.flatnonzero(is_forgotten)}
    for name, positions in parts.items() if len(classes) else ():
        if not len(positions):
            raise UserError(f"forget.classes: {name} has no image of {len(labels)}, expected 1")
    return parts


def draw(positions: np.ndarray, share: float, random: RandomState) -> list[np.ndarray]:
    """Draw round(share * count) of the positions; give these and the rest, in their order."""
    count = len(positions)
    number = round(share * count)
    if not 0 < number < count:
        raise UserError(
            f"forget share {share:g} of {count} images is {number} images, expected at least 1 to "
            "forget and 1 to keep"
        )
    chosen = np.zeros(count, bool)
    chosen[random.choice(count, number, replace=False)] = True
    return [positions[chosen], positions[~chosen]]


def hold_out(labels: np.ndarray, random: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Draw a tenth of each class, rounded down, class by class."""
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    validation = np.concatenate(
        [
            random.choice(images, int(VALIDATION_SHARE * len(images)), replace=False)
            for images in classes
        ]
    )
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def salun(labels: np.ndarray, share: float, seed: int, original_seed: int | None) -> Split:
    """Hold out a tenth of each class and forget a share of the rest, as SalUn's code does.

    OPTML-Group/Unlearn-Saliency, Classification/dataset.py, where the original model is always
    trained on the split of seed 1 and others are 2 by default: `original_seed=1` repeats that.
    """
    if seed < 1:
        raise UserError(f"seed {seed}: the rule salun also draws by the seed before it, expected 1")
    training, validation = hold_out(labels, RandomState(seed))
    forget, retain = draw(training, share, RandomState(seed - 1))
    original = training
    if original_seed is not None:
        original, _ = hold_out(labels, RandomState(original_seed))
    return Split(forget, retain, validation, original)


def read_list(path: str | Path, names: Sequence[str] = ()) -> list[int]:
    """Read positions of images from a text file, a line each: a position, or a file's name."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    lines = {number: line.strip() for number, line in enumerate(text.splitlines(), 1)}
    lines = {number: line for number, line in lines.items() if line}
    # int() would also take signs, underscores and digits of other scripts.
    others = {n: line for n, line in lines.items() if not (line.isascii() and line.isdigit())}
    if not others:
        return [int(line) for line in lines.values()]
    if not names or len(others) < len(lines):
        number, line = next(iter(others.items()))
        raise UserError(f"{path}: line {number} is {line!r}, expected an index")
    positions = {name: position for position, name in enumerate(names)}
    listed: dict[str, int] = {}
    for number, name in lines.items():
        if name not in positions:
            # All names would fill more than a line; those of the same file are the most likely.
            alike = [n for n in names if n.endswith(name.rpartition("/")[2])] or names
            [close] = difflib.get_close_matches(name, alike, n=1, cutoff=0)
            raise UserError(
                f"{path}: line {number}: {name!r} is not a training image; did you mean {close!r}?"
            )
        if name in listed:
            raise UserError(f"{path}: line {number}: {name!r} stands in line {listed[name]} too")
        listed[name] = number
    return [positions[name] for name in listed]
