"""How many numbers of a vector are zero, how many shrink the base, and how far its pool agrees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tqdm import tqdm

from negmerge.checkpoints.states import StoredState, require_same_tensors, shapes
from negmerge.merging.blocks import Block, Stored
from negmerge.merging.pool import pool_of


@dataclass(frozen=True)
class Sparsity:
    """Counts of numbers."""

    kept: int = 0  # non-zero numbers of the vector
    # Those of them whose sign is opposite to the base's (vector x base < 0). There fine-tuning
    # moved a weight towards 0, as weight decay does whatever the data are.
    shrinking: int = 0
    nonzero_in_all: int = (
        0  # numbers that are zero in no vector of the pool, on which signs can agree
    )
    agreeing: int = 0  # those of them that have one sign in all vectors
    trainable: int = 0  # numbers that fine-tuning may change
    state: int = 0  # numbers in the whole state

    def __add__(self, other: "Sparsity") -> "Sparsity":
        mine, others = vars(self), vars(other)
        return Sparsity(**{name: mine[name] + others[name] for name in mine})


def sparsity(
    vectors: Sequence[StoredState],
    pool: Sequence[StoredState],
    base: StoredState,
    is_trainable: Callable[[str], bool],
    progress: bool = False,
) -> list[Sparsity]:
    """Count the zeros of vectors against both of their denominators, and the votes of their pool.

    Frozen tensors are exact zeros in every vector, so a share of zeros means little without the
    numbers that it is a share of. The vectors, at least one, are merged from the vectors of `pool`,
    or are of it; the base may have tensors that are in no vector; `is_trainable` says whether
    fine-tuning may change a tensor. All files are read at the same time, block by block. Tensors of
    other names or shapes than the first vector's or the base's, NaN or an infinity are a UserError.
    """
    layout, origin = shapes(vectors[0]), Stored(base)
    shared = {name: base.shape(name) for name in base.names if name in layout}
    require_same_tensors(layout, shared, base.path)

    def count(block: Block) -> list[Sparsity]:
        before, read = block.of(origin), iter(block)
        merged = [next(read) for _ in vectors]
        above = below = nonzero_in_all = torch.ones_like(before, dtype=torch.bool)
        for vector in read:
            above, below = above & (vector > 0), below & (vector < 0)
            nonzero_in_all = nonzero_in_all & (vector != 0)
        votes = {
            "nonzero_in_all": int(nonzero_in_all.sum()),
            "agreeing": int((above | below).sum()),
        }
        size = before.numel()
        votes |= {"trainable": size if is_trainable(block.name) else 0, "state": size}
        # Signs, since a product of small numbers may be rounded to 0.
        opposite = [((v > 0) & (before < 0)) | ((v < 0) & (before > 0)) for v in merged]
        changes = zip(merged, opposite, strict=True)
        return [Sparsity(int(v.count_nonzero()), int(o.sum()), **votes) for v, o in changes]

    numbers = pool_of([*vectors, *pool]).vectors
    with tqdm(
        total=numbers.size,
        desc="sparsity",
        unit=" numbers",
        unit_scale=True,
        mininterval=5,
        disable=not progress,
    ) as bar:
        numbers.passed = bar.update
        by_block = list(numbers.map(count))
    return [sum(counts, Sparsity()) for counts in zip(*by_block, strict=True)]
