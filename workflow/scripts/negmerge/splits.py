"""The splits of a data set, and the rule that holds out validation images."""

from typing import TYPE_CHECKING

from negmerge.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

# The splits of a prepared data set. Only the workflow's own pre-training sees `pretrain`; the
# paper's sets have none. A set without `val` has its validation images cut from `train`.
SPLITS = ("pretrain", "train", "test", "val")

VALIDATION_SHARE = 0.1
VALIDATION_LIMIT = 5000
# The first training index of MNIST that the rule's authors assert.
MNIST_FIRST = 36044


def train_val_split(n: int, name: str) -> "tuple[Tensor, Tensor]":
    """Split the positions of a training set at random, always in the same way.

    min(int(0.1 n), 5000) items are held out. The rule is that of Task Arithmetic
    (mlfoundations/task_vectors, src/datasets/common.py), which NegMerge follows; it goes by
    position, so it depends on the order of the items.

    Args:
        n: the number of items, at least 10.
        name: the data set, for errors; the split of MNIST is checked against a known index.

    Returns:
        The training and the validation positions, int64, disjoint, in drawn order.

    Raises:
        UserError: fewer than 10 items, or torch draws MNIST's split otherwise than its authors'.
    """
    # Here, since checking a study and preparing images need this package but not torch.
    import torch
    from torch.utils.data import random_split

    held_out = min(int(VALIDATION_SHARE * n), VALIDATION_LIMIT)
    if held_out < 1:
        raise UserError(f"{name}: {n} training items, at least 10 are needed to hold some out")
    generator = torch.Generator().manual_seed(0)
    training, validation = random_split(range(n), [n - held_out, held_out], generator=generator)
    if name.lower() in ("mnist", "mnistval") and n == 60000 and training.indices[0] != MNIST_FIRST:
        raise UserError(
            f"{name}: the first training index is {training.indices[0]}, expected {MNIST_FIRST}: "
            f"torch {torch.__version__} draws another permutation"
        )
    return torch.tensor(training.indices), torch.tensor(validation.indices)
