"""How many images there are to train with, to choose by and to score, by the rows of data sets."""

from negmerge.data.splits import VALIDATION_LIMIT, VALIDATION_SHARE
from negmerge.settings.catalogue import Catalogue

# The images of a task by role and purpose: `train`, `select` and `score`.
Counts = dict[str, dict[str, int]]


def training_images(counts: Counts | None, *roles: str) -> tuple[int, ...] | None:
    """Return how many training images each role has; None if that is not known yet."""
    return counts and tuple(counts[role]["train"] for role in roles)


def part_sizes(known: Catalogue, dataset: str) -> dict[str, int]:
    """Count the images of each part of a data set, with `val` cut from `train` if it has none."""
    sizes = dict(known.datasets[dataset].splits)
    if "val" not in sizes and "train" in sizes:
        sizes["val"] = min(int(VALIDATION_SHARE * sizes["train"]), VALIDATION_LIMIT)
        sizes["train"] -= sizes["val"]
    return sizes
