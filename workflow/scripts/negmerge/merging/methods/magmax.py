"""MagMax: the largest update of each coordinate."""

import torch
from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.engine import Method


def combine(block: Block) -> Tensor:
    """Keep the tau_k of largest magnitude; of equal magnitudes the last one.

    So the order of the vectors matters where +a meets -a, and nowhere else.
    """
    vectors = iter(block)
    largest = next(vectors).clone()
    for vector in vectors:
        largest = torch.where(vector.abs() >= largest.abs(), vector, largest)
    return largest


METHOD = Method(
    combine,
    title="MagMax",
    reference="Marczak et al., MagMax (ECCV 2024)",
    ordered=True,
)
