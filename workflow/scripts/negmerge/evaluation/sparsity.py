"""How many numbers of a vector are zero, how many shrink the base, and how far its pool agrees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from negmerge.checkpoints import StoredState
from negmerge.checks import require_same_tensors
from negmerge.merging.blocks import Block, Stored
from negmerge.merging.engine import stored_pool
from negmerge.states import shapes


@dataclass(frozen=True)
class Sparsity:
    """Counts of numbers.

    Attributes:
        kept: non-zero numbers of the vector.
        shrinking: those of them whose sign is opposite to the base's (vector x base < 0). There
            fine-tuning moved a weight towards 0, as weight decay does whatever the data are.
        voting: numbers that are zero in no vector of the pool, on which signs can agree.
        agreeing: those of them that have one sign in all vectors.
        trainable: numbers that fine-tuning may change.
        state: numbers in the whole state.
    """

    kept: int = 0
    shrinking: int = 0
    voting: int = 0
    agreeing: int = 0
    trainable: int = 0
    state: int = 0

    def __add__(self, other: "Sparsity") -> "Sparsity":
        """Add the counts of another part of the model."""
        mine, others = vars(self), vars(other)
        return Sparsity(**{name: mine[name] + others[name] for name in mine})


def sparsity(
    vector: StoredState,
    pool: Sequence[StoredState],
    base: StoredState,
    is_trainable: Callable[[str], bool],
    progress: bool = False,
) -> Sparsity:
    """Count the zeros of a vector against both of their denominators, and the votes of its pool.

    Frozen tensors are exact zeros in every vector, so a share of zeros means little without the
    numbers that it is a share of. All files are read at the same time, block by block.

    Args:
        vector: a merged vector, or a single one.
        pool: the vectors that it was made of, at least one.
        base: the weights before fine-tuning; it may have tensors that are in no vector.
        is_trainable: whether fine-tuning may change the tensor of that name.
        progress: show a bar on standard error.

    Raises:
        UserError: a vector with tensors of other names or shapes than the first, or than the base,
            NaN or an infinity.
    """
    layout, origin = shapes(vector), Stored(base)
    shared = {name: base.shape(name) for name in base.names if name in layout}
    require_same_tensors(layout, shared, base.path)

    def count(block: Block) -> Sparsity:
        vectors = iter(block)
        merged, before = next(vectors), block.of(origin)
        above = below = voting = torch.ones_like(merged, dtype=torch.bool)
        for one in vectors:
            above, below, voting = above & (one > 0), below & (one < 0), voting & (one != 0)
        # Signs, since a product of small numbers may be rounded to 0.
        opposite = ((merged > 0) & (before < 0)) | ((merged < 0) & (before > 0))
        return Sparsity(
            kept=int(merged.count_nonzero()),
            shrinking=int(opposite.sum()),
            voting=int(voting.sum()),
            agreeing=int((above | below).sum()),
            trainable=merged.numel() if is_trainable(block.name) else 0,
            state=merged.numel(),
        )

    numbers = stored_pool([vector, *pool], None)
    with tqdm(
        total=numbers.size,
        desc="sparsity",
        unit=" numbers",
        unit_scale=True,
        mininterval=5,
        disable=not progress,
    ) as bar:
        numbers.passed = bar.update
        return sum(numbers.map(count), Sparsity())
