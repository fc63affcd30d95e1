"""TALL masks: the sum of the task vectors, where enough models have a mask; Consensus Merging.

A mask asks how large a model's update is. NegMerge's consensus, equal signs, is in `signs.py`.
"""

import torch
from pydantic import Field
from torch import Tensor

from negmerge.merging.blocks import Block
from negmerge.merging.engine import Method
from negmerge.merging.signs import keep, running_sum
from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """The options of TALL masks."""

    threshold: Share = Field(
        0.4,
        description="How large an update must be beside the sum of the others (their lambda).",
    )
    active: int = Field(
        2,
        ge=0,
        le=1000,
        description="How many models must be active for a number to stay; 0 keeps all.",
    )


def combine(block: Block, threshold: float, active: int) -> Tensor:
    """Keep the sum of the task vectors where at least `active` of them shape it.

    tau_multi = sum of tau_k; mask_k = |tau_k| > threshold * |tau_multi - tau_k|: the update of
    model k is large beside what the others add. Result: tau_multi where at least `active` masks
    are true, else +0. With `active` 0 it is the plain sum. Masks depend on the scale of the sum,
    so adding models to a pool can switch masks off.
    """
    total = running_sum(block)
    count = torch.zeros_like(total, dtype=torch.int32)
    # The block is read a second time, since a stack would grow with the pool.
    for vector in block:
        count += vector.abs() > threshold * (total - vector).abs()
    return keep(total, count >= active)


METHOD = Method(
    combine,
    title="TALL masks",
    reference="Wang et al., Localizing Task Information (ICML 2024), consensus of TALL masks",
    options=Options,
    passes=2,
)
