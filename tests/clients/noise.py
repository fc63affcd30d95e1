"""Images of noise."""

import torch
from torch import Tensor


def images(seed: int, side: int) -> Tensor:
    """Return four images of noise, with three channels."""
    return torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(seed))
