"""Random mask: the mean at coordinates drawn at random, as many as agree in sign, as a control."""

import math

import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging import order
from negmerge.merging.blocks import Block, Vectors, divisor
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep, running_sum, summarise
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Seed, Settings


class Options(Settings):
    """The option of the random mask."""

    seed: Seed = Field(0, description="Seed of the draw.")


# Whole numbers of this many bits are exact in float64, of which `order.select` finds the n-th.
BITS = 52
# A factor and a shift for each round of mixing. Any odd factor will do: these are the lower bits of
# those of MurmurHash3 (Appleby), then of the golden ratio.
ROUNDS = ((0x1AFD7ED558CCD, 27), (0xEB9FE1A85EC53, 25), (0x779B97F4A7C15, 26))

Limits = dict[str, float]  # of each tensor the largest lot that is kept


def survey(vectors: Vectors, seed: int) -> Limits:
    """Find the limit of each tensor: as many lots up to it as there are agreeing coordinates.

    Only coordinates at which the sum of the vectors is not zero take part. There are never fewer
    of them than agreeing ones, as numbers of one sign do not add up to 0.
    """
    agreeing, nonzero = dict.fromkeys(vectors.shapes, 0), dict.fromkeys(vectors.shapes, 0)

    def count(block: Block) -> tuple[str, int, int]:
        summary = summarise(block)
        return block.name, int(summary.agree.sum()), int(summary.total.count_nonzero())

    for name, agree, changed in vectors.map(count):
        agreeing[name] += agree
        nonzero[name] += changed
    return {name: _limit(vectors, name, agreeing[name], nonzero[name], seed) for name in agreeing}


def combine(block: Block, seed: int, survey: Limits) -> Tensor:
    """Keep the mean of the task vectors at random coordinates; elsewhere the result is +0.

    In each tensor it keeps exactly as many as NegMerge does, drawn without replacement from those
    at which the uniform merge is not zero. So the two differ in which coordinates they keep, but
    not in how many, nor in the layers. What all models leave at zero, a frozen tensor or single
    numbers, is not drawn: the result has exactly the sparsity of NegMerge's.
    """
    total = running_sum(block)
    mean = total / divisor(len(block), total)
    return keep(mean, (total != 0) & (_lots(block, seed) <= survey[block.name]))


def _limit(vectors: Vectors, name: str, kept: int, nonzero: int, seed: int) -> float:
    if kept == 0:
        return -1.0
    if kept == nonzero:
        return math.inf

    def lots(block: Block) -> list[Tensor]:
        return [_lots(block, seed)[running_sum(block) != 0]]

    visit = order.passes(vectors, lots, [name])
    ((limit,),) = order.select(visit, [[kept - 1]], torch.float64)
    return limit


def _lots(block: Block, seed: int) -> Tensor:
    """Return a number for each coordinate, by seed, tensor and place: (rows, columns)."""
    device = block.vectors.workers.device
    lots = torch.arange(block.start, block.stop, dtype=torch.int64, device=device)
    for number, (factor, shift) in enumerate(ROUNDS):
        lots = lots ^ derive_seed(seed, f"{block.name}/{number}")
        # The product wraps around at 64 bits, which leaves the lower ones right.
        lots = (lots * factor) & (2**BITS - 1)
        lots = lots ^ (lots >> shift)
    return lots.double().view(-1, block.shape[-1] if block.shape else 1)


METHOD = Method(
    combine,
    title="Random mask",
    reference="this project, a control experiment",
    options=Options,
    survey=survey,
    passes=6,
)
