"""DARE: drop most of each update, scale up the rest, then the mean."""

import math
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging.blocks import Block, Vectors, divisor, to_device
from negmerge.merging.engine import Method
from negmerge.merging.order import magnitudes
from negmerge.merging.signs import keep
from negmerge.seeds import derive_seed
from negmerge.settings.recipe import Seed, Settings


class Options(Settings):
    """The options of DARE."""

    drop: float = Field(0.9, ge=0, le=0.99, description="Share that is dropped.")
    by: Literal["random", "magnitude"] = Field("random", description="How the share is chosen.")
    rescale: bool = Field(True, description="Whether the rest is scaled up.")
    seed: Seed = Field(0, description="Seed of a random choice.")


# A random choice is drawn in chunks of a tensor, each from a seed of its own, so that it depends
# neither on the blocks in which the tensor is read nor on their order.
CHUNK = 65_536

Thresholds = dict[str, list[float]]


def survey(vectors: Vectors, drop: float, by: str, **_: object) -> Thresholds:
    """Find, for each tensor of each vector, the largest magnitude that is dropped; -1: none."""
    if by == "random":
        return {}
    thresholds = {}
    for name, shape in vectors.shapes.items():
        rank = int(math.prod(shape) * drop) - 1
        found = magnitudes(vectors, rank, names=[name]) if rank >= 0 else [[-1.0]] * len(vectors)
        thresholds[name] = [threshold for (threshold,) in found]
    return thresholds


def combine(
    block: Block, drop: float, by: str, rescale: bool, seed: int, survey: Thresholds
) -> Tensor:
    """Average the task vectors after a share `drop` of each became +0.

    by=random: each number is dropped with this probability. by=magnitude: of the n numbers of each
    tensor the int(drop * n) smallest magnitudes go, and those equal to the largest of them. With
    `rescale` the others are divided by 1 - drop, so that a random choice keeps the mean.
    """
    total = torch.zeros((), dtype=block.vectors.dtypes[block.name])
    for number, vector in enumerate(block):
        if by == "random":
            kept = to_device(_draw(block, seed, number) >= drop, vector.device).view(vector.shape)
        else:
            kept = vector.abs() > survey[block.name][number]
        total = total + keep(vector, kept)
    return total / divisor((1 - drop) * len(block) if rescale else len(block), total)


def _draw(block: Block, seed: int, vector: int) -> Tensor:
    """Return the random numbers of a block's places in one vector, drawn on the CPU."""
    size = math.prod(block.shape)
    drawn = []
    for start in range(block.start // CHUNK * CHUNK, block.stop, CHUNK):
        chunk_seed = derive_seed(seed, f"{vector}/{block.name}/{start}")
        generator = torch.Generator("cpu").manual_seed(chunk_seed)
        length = min(CHUNK, size - start)
        chunk = torch.rand(length, generator=generator, dtype=torch.float32, device="cpu")
        drawn.append(chunk[max(block.start - start, 0) : block.stop - start])
    return torch.cat(drawn)


METHOD = Method(
    combine,
    title="DARE",
    reference="Yu et al., Language Models are Super Mario (ICML 2024)",
    options=Options,
    survey=survey,
)
