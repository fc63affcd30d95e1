"""Relaxed sign consensus: the mean where enough models agree in sign, zero elsewhere."""

import math

import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging.blocks import Block, divisor
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep
from negmerge.settings.recipe import Settings


class Options(Settings):
    """The option of the relaxed consensus."""

    agreement: float = Field(
        0.8,
        ge=0.5,
        le=1,
        description="Share of the vectors that must have the same non-zero sign.",
    )


def combine(block: Block, agreement: float) -> Tensor:
    """Keep the mean of all K vectors where ceil(agreement * K) of them have one non-zero sign.

    Elsewhere the result is +0. The mean is that of all, not of those that agree, so with agreement
    1 this is NegMerge to the bit; with less, a few large numbers can turn the mean's sign.
    """
    vectors = iter(block)
    total = next(vectors).clone()
    positive, negative = (total > 0).int(), (total < 0).int()
    for vector in vectors:
        total += vector
        positive += vector > 0
        negative += vector < 0
    # The product of floats may be a little above the whole number that is meant: 0.55 * 100.
    needed = math.ceil(round(agreement * len(block), 6))
    mean = total.div_(divisor(len(block), total))
    return keep(mean, torch.maximum(positive, negative) >= needed)


METHOD = Method(
    combine,
    title="Relaxed consensus",
    reference="this project; agreement 1 is Kim et al., NegMerge (ICML 2025)",
    options=Options,
)
