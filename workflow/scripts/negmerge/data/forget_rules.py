"""The rules that draw which training images are forgotten.

All draws are by numpy's RandomState, the only one of its generators that promises the same numbers
in every version (NEP 19).
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.random import RandomState

from negmerge.data.forgetting import Split, check_indices, check_split
from negmerge.errors import UserError, unknown
from negmerge.splits import VALIDATION_SHARE

RULES = ("uniform", "salun", "given")
SEEDS = 2**32


def forget_split(
    items: int | Sequence[int] | np.ndarray,
    share: float | None,
    seed: int,
    *,
    rule: str = "uniform",
    original_seed: int | None = None,
    file: str | Path | None = None,
) -> Split:
    """Choose which training images are forgotten.

    Args:
        items: the number of training images, or their labels, which `salun` needs.
        share: of the images to forget, above 0 and below 1; `given` does not use it.
        seed: of the draws, in 0..2^32 - 1, from 1 for `salun`; `given` does not use it.
        rule: `uniform`, a share of all images (ours); `salun`, with a tenth of each class held out
            (the literature's, see `salun`); or `given`, the indices in `file`.
        original_seed: for `salun`, if the original model is trained on the split of another seed
            (1 in SalUn's code).
        file: for `given`, a text file with one index per line.

    Raises:
        UserError: an unknown rule, a share or a seed out of range, nothing to forget or to keep,
            something that the rule needs is missing, or a given index is repeated or foreign.
    """
    labels = np.asarray(items) if np.ndim(items) else None
    n = int(items) if labels is None else len(labels)
    everything = np.arange(n, dtype=np.int64)
    if rule not in RULES:
        raise UserError(unknown("rule", rule, RULES))
    if rule != "salun" and original_seed is not None:
        raise UserError(f"original_seed {original_seed}: only the rule salun has it, not {rule}")
    if rule == "given":
        if file is None:
            raise UserError("the rule given needs a file with the indices to forget")
        indices = check_indices(read_indices(file), n, file)
        rest = np.setdiff1d(everything, indices)
        return check_split(Split(np.sort(indices), rest, everything[:0], everything), n, file)
    if share is None:
        raise UserError(f"the rule {rule} needs the share of the images to forget")
    if rule == "uniform":
        forget, retain = draw(everything, share, seeded(seed))
        return Split(forget, retain, everything[:0], everything)
    if labels is None:
        raise UserError("the rule salun needs the label of each image, not only their number")
    return salun(labels, share, seed, original_seed)


def seeded(seed: int) -> RandomState:
    """Make a generator.

    Raises:
        UserError: the seed is not in 0..2^32 - 1.
    """
    if not 0 <= seed < SEEDS:
        raise UserError(f"seed {seed} is not in 0..{SEEDS - 1}")
    return RandomState(seed)


def draw(positions: np.ndarray, share: float, random: RandomState) -> list[np.ndarray]:
    """Draw round(share * count) of the positions; give these and the rest, in their order.

    Raises:
        UserError: the share is not between 0 and 1, or leaves nothing to forget or nothing to keep.
    """
    count = len(positions)
    if not 0 < share < 1:
        raise UserError(f"forget share is {share:g}, expected above 0 and below 1")
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
    """Draw a tenth of each class, rounded down, class by class.

    Returns:
        The other positions, ascending, and those drawn, in drawn order.
    """
    classes = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    validation = np.concatenate(
        [random.choice(one, int(VALIDATION_SHARE * len(one)), replace=False) for one in classes]
    )
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def salun(labels: np.ndarray, share: float, seed: int, original_seed: int | None) -> Split:
    """Hold out a tenth of each class and forget a share of the rest, as SalUn's code does.

    OPTML-Group/Unlearn-Saliency, Classification/dataset.py: `seed` draws the validation images,
    `seed - 1` the forgotten ones. There the original model is always trained on the split of seed
    1, while the unlearning scripts take 2 by default, so that the original model has
    never seen about a tenth of the images to forget. `original_seed=1` repeats that.

    Args:
        labels: (n,) of all training images, whole numbers.
        share: of the images that are not held out.
        seed: of the split, at least 1.
        original_seed: of the split that the original model is trained on; None: `seed`.
    """
    if seed < 1:
        raise UserError(f"seed {seed}: the rule salun also draws by the seed before it, expected 1")
    training, validation = hold_out(labels, seeded(seed))
    forget, retain = draw(training, share, seeded(seed - 1))
    original = training
    if original_seed is not None:
        original, _ = hold_out(labels, seeded(original_seed))
    return Split(forget, retain, validation, original)


def read_indices(path: str | Path) -> list[int]:
    """Read whole numbers from a text file, one per line; empty lines do not count.

    Raises:
        UserError: the file cannot be read, or a line is not a whole number.
    """
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    indices = []
    for number, line in enumerate(lines, start=1):
        # int() would also take signs, underscores and digits of other scripts.
        if line.strip() and not (line.strip().isascii() and line.strip().isdigit()):
            raise UserError(f"{path}: line {number} is {line.strip()!r}, expected an index")
        if line.strip():
            indices.append(int(line))
    return indices
