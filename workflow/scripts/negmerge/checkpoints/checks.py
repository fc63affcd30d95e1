"""Checks of tensors and of states, whose errors name the file and the tensor."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from negmerge.errors import NotFinite, UserError

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def require_finite(tensor: Tensor, name: str, where: str | Path) -> Tensor:
    """Return the tensor if all its numbers are finite, and none has 8 bits or less."""
    if tensor.is_floating_point() and tensor.dtype not in FLOATS:
        raise UserError(f"{where}: tensor {name!r} holds {tensor.dtype}, expected 16 to 64 bits")
    if tensor.is_floating_point() and not torch.isfinite(tensor).all():
        bad = int((~torch.isfinite(tensor)).sum())
        raise NotFinite(f"{where}: tensor {name!r} holds {bad} NaN or infinite of {tensor.numel()}")
    return tensor


def require_same_tensors(
    reference: Mapping[str, tuple[int, ...]],
    shapes: Mapping[str, tuple[int, ...]],
    where: str | Path,
) -> None:
    """Check that a state has exactly the tensor names and shapes of a reference."""
    missing = sorted(set(reference) - set(shapes))
    extra = sorted(set(shapes) - set(reference))
    if missing:
        raise UserError(f"{where}: tensor {missing[0]!r} is missing ({len(missing)} in all)")
    if extra:
        raise UserError(f"{where}: tensor {extra[0]!r} is not expected ({len(extra)} in all)")
    for name, shape in reference.items():
        if tuple(shapes[name]) != tuple(shape):
            raise UserError(
                f"{where}: tensor {name!r} has shape {list(shapes[name])}, expected {list(shape)}"
            )
