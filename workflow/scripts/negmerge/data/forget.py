"""Which training images are forgotten, kept and held out: a split, its file, and who draws it.

All draws are by numpy's RandomState, the only one of its generators that promises the same numbers
in every version (NEP 19).
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.random import RandomState

from negmerge.data.splits import VALIDATION_SHARE
from negmerge.errors import UserError, unknown
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
PARTS = tuple(part.name for part in fields(Split) if part.name not in TEST_PARTS)
FILE_PARTS = (*PARTS, "test")  # that every file has
RULES = ("uniform", "salun", "given", "class")
SEEDS = 2**32


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
        parts[name] = _indices(parts[name], test, f"{path}: {name}")
    return _checked(Split(**parts), n, path)


def _checked(split: Split, n: int, where: str | Path) -> Split:
    """Return a split of n images, with int64 arrays."""
    parts = {name: _indices(vars(split)[name], n, f"{where}: {name}") for name in PARTS}
    for name in ("forget", "retain", "original"):
        if not parts[name].size:
            raise UserError(f"{where}: {name} has no image, expected at least 1 of {n}")
    for one, other in combinations(("forget", "retain", "validation"), 2):
        both = np.intersect1d(parts[one], parts[other])
        if both.size:
            raise UserError(
                f"{where}: {one} and {other} share index {both[0]} ({both.size} in all)"
            )
    return replace(split, **parts)


def _indices(indices: Sequence[int] | np.ndarray, n: int, where: str | Path) -> np.ndarray:
    """Return different indices below n as an int64 array, in their order."""
    if not len(indices):
        return np.zeros(0, np.int64)
    try:
        array = np.asarray(indices)
    except ValueError:
        array = np.zeros((0, 0))
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


def forget_split(
    items: int | Sequence[int] | np.ndarray,
    share: float | None,
    seed: int,
    *,
    rule: str = "uniform",
    original_seed: int | None = None,
    file: str | Path | None = None,
    names: Sequence[str] = (),
    classes: Sequence[int] = (),
) -> Split:
    """Choose which training images are forgotten, of so many or by their labels."""
    labels = np.asarray(items) if np.ndim(items) else None
    n = int(items) if labels is None else len(labels)
    everything = np.arange(n, dtype=np.int64)
    if rule not in RULES:
        raise UserError(unknown("rule", rule, RULES))
    if rule != "salun" and original_seed is not None:
        raise UserError(f"original_seed {original_seed}: only the rule salun has it, not {rule}")
    if rule in ("salun", "class") and labels is None:
        raise UserError(f"the rule {rule} needs the label of each image, not only their number")
    if rule == "given":
        if file is None:
            raise UserError("the rule given needs a file with the images to forget")
        forget = np.sort(_indices(read_list(file, names), n, file))
    elif rule == "class":
        forget = everything[np.isin(labels, classes)]
    elif share is None:
        raise UserError(f"the rule {rule} needs the share of the images to forget")
    elif rule == "salun":
        return _salun(labels, share, seed, original_seed)
    else:
        forget, _ = _draw(everything, share, _seeded(seed))
    split = Split(forget, np.setdiff1d(everything, forget), everything[:0], everything)
    return _checked(split, n, file if rule == "given" else "forget.classes")


def test_parts(labels: np.ndarray, classes: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the positions of test images that count as `test`, and of forgotten classes."""
    is_forgotten = np.isin(labels, classes)
    parts = {"test": np.flatnonzero(~is_forgotten), "forget_test": np.flatnonzero(is_forgotten)}
    for name, positions in parts.items() if len(classes) else ():
        if not len(positions):
            raise UserError(f"forget.classes: {name} has no image of {len(labels)}, expected 1")
    return parts


def _seeded(seed: int) -> RandomState:
    if not 0 <= seed < SEEDS:
        raise UserError(f"seed {seed} is not in 0..{SEEDS - 1}")
    return RandomState(seed)


def _draw(positions: np.ndarray, share: float, random: RandomState) -> list[np.ndarray]:
    """Draw round(share * count) of the positions; give these and the rest, in their order."""
    count = len(positions)
    if not 0 < share < 1:
        raise UserError(f"forget share is {share:g}, expected above 0 and below 1")
    number = round(share * count)
    if not 0 < number < count:
        raise UserError(
            f"forget share {share:g} of {count} images is {number} images, expected at least 1 to "
            "forget and 1 to keep"
        )
    is_drawn = np.zeros(count, bool)
    is_drawn[random.choice(count, number, replace=False)] = True
    return [positions[is_drawn], positions[~is_drawn]]


def _salun(labels: np.ndarray, share: float, seed: int, original_seed: int | None) -> Split:
    """Hold out a tenth of each class and forget a share of the rest, as SalUn's code does.

    OPTML-Group/Unlearn-Saliency, Classification/dataset.py: `seed` draws the validation images,
    `seed - 1` the forgotten ones. There the original model is always trained on the split of seed
    1, while the unlearning scripts take 2 by default, so that the original model has
    never seen about a tenth of the images to forget. `original_seed=1` repeats that.
    """
    if seed < 1:
        raise UserError(f"seed {seed}: the rule salun also draws by the seed before it, expected 1")
    training, validation = _hold_out(labels, _seeded(seed))
    forget, retain = _draw(training, share, _seeded(seed - 1))
    original = training
    if original_seed is not None:
        original, _ = _hold_out(labels, _seeded(original_seed))
    return Split(forget, retain, validation, original)


def _hold_out(labels: np.ndarray, random: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Draw a tenth of each class, rounded down, class by class; give the rest and these."""
    drawn = []
    for label in np.unique(labels):
        positions = np.flatnonzero(labels == label)
        count = int(VALIDATION_SHARE * len(positions))
        drawn.append(random.choice(positions, count, replace=False))
    validation = np.concatenate(drawn)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def read_list(path: str | Path, names: Sequence[str] = ()) -> list[int]:
    """Read the positions of images from a text file, one image per line; empty lines do not count.

    A line of digits is a position, any other the name of an image's file: names have a suffix.
    """
    try:
        texts = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    lines = {number: text.strip() for number, text in enumerate(texts, 1) if text.strip()}
    # int() would also take signs, underscores and digits of other scripts.
    foreign = {n: line for n, line in lines.items() if not (line.isascii() and line.isdigit())}
    if not foreign:
        return [int(line) for line in lines.values()]
    if not names or len(foreign) < len(lines):
        number, line = next(iter(foreign.items()))
        raise UserError(f"{path}: line {number} is {line!r}, expected an index")
    return _positions(lines, names, path)


def _positions(lines: Mapping[int, str], names: Sequence[str], path: str | Path) -> list[int]:
    """Return the positions of the file names in the lines of a list."""
    known = {name: position for position, name in enumerate(names)}
    line_of: dict[str, int] = {}
    for number, name in lines.items():
        if name not in known:
            # All names would fill more than a line; those of the same file are the most likely.
            alike = [other for other in names if other.endswith(name.rpartition("/")[2])] or names
            [close] = difflib.get_close_matches(name, alike, n=1, cutoff=0)
            raise UserError(
                f"{path}: line {number}: {name!r} is not a training image; did you mean {close!r}?"
            )
        if name in line_of:
            raise UserError(f"{path}: line {number}: {name!r} stands in line {line_of[name]} too")
        line_of[name] = number
    return [known[name] for name in line_of]
