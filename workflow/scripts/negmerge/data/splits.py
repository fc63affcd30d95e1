"""The splits of a data set, and the rule that holds out validation images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from negmerge.errors import UserError

if TYPE_CHECKING:
    import numpy as np

# The splits of a prepared data set. Only the workflow's own pre-training sees `pretrain`; the
# paper's sets have none. A set without `val` has its validation images cut from `train`.
SPLITS = ("pretrain", "train", "test", "val")

# The splits of a set of questions: the authors that are taught and of whom some are forgotten,
# others from whom a model learns the language before; and those that are only scored, each a role
# of its name: others whom no model has met, questions about the real world, and in sets of facts
# those near what is forgotten, the same ones asked in other ways and languages, plain sentences.
SCORED_SPLITS = (
    "holdout", "real-authors", "world-facts", "neighbours", "other-wordings", "chat", "french",
    "german", "text",
)  # fmt: skip
QUESTION_SPLITS = ("authors", "others", *SCORED_SPLITS)

VALIDATION_SHARE = 0.1
VALIDATION_LIMIT = 5000


def evenly_spread(count: int, most: int | None) -> list[int]:
    """Number at most so many of all items, evenly spread: they may be sorted by class or author."""
    if most is None or count <= most:
        return list(range(count))
    return [number * count // most for number in range(most)]


def held_out(n: int) -> int:
    """Count the validation items that are cut from so many training items."""
    return min(int(VALIDATION_SHARE * n), VALIDATION_LIMIT)


def train_val_split(n: int, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Split the positions of a training set at random, always in the same way.

    min(int(0.1 n), 5000) items are held out. The rule is that of Task Arithmetic
    (mlfoundations/task_vectors, src/datasets/common.py), which NegMerge follows: torch's
    `random_split` with a generator of seed 0. It goes by position, so it depends on the order of
    the items.

    Args:
        n: the number of items, at least 10.
        name: the data set, for errors.

    Returns:
        The training and the validation positions, int64, disjoint, in drawn order.

    Raises:
        UserError: fewer than 10 items.
    """
    count = held_out(n)
    if count < 1:
        raise UserError(f"{name}: {n} training items, at least 10 are needed to hold some out")
    import torch  # here, since settings need the names above and do without it

    order = torch.randperm(n, generator=torch.Generator().manual_seed(0)).numpy()
    return order[: n - count], order[n - count :]
