"""Choosing numbers by masks, in a fraction of the time of `torch.where`.

A processor cannot guess where a random mask is true, and loses more time by wrong guesses than the
rest of a merge takes. So the bits of the numbers are masked, with no choice to make.
"""

import torch
from torch import Tensor

INTEGERS = {torch.float32: torch.int32, torch.float64: torch.int64}


def keep(numbers: Tensor, mask: Tensor) -> Tensor:
    """Return the numbers where the mask is true, and +0 elsewhere, in a new tensor.

    Args:
        numbers: float32 or float64.
        mask: bool, of the same shape.
    """
    integers = INTEGERS[numbers.dtype]
    bits = mask.to(integers).neg_()  # all 1 or all 0
    return bits.bitwise_and_(numbers.view(integers)).view(numbers.dtype)
