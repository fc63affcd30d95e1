"""The dtypes in which tensors are merged."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from negmerge.checkpoints.checks import FLOATS
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError


def stored_dtypes(states: Sequence[StoredState], names: Sequence[str]) -> dict[str, torch.dtype]:
    """Return the dtypes in which some tensors of states on disk are merged; see `merged_dtypes`."""
    kinds = [{name: state.dtype(name) for name in names} for state in states]
    return merged_dtypes(kinds, [state.path for state in states])


def merged_dtypes(
    kinds: Sequence[Mapping[str, torch.dtype]], labels: Sequence[str | Path]
) -> dict[str, torch.dtype]:
    """Return the dtype in which each tensor is merged: float64 where one vector has it.

    Args:
        kinds: the dtypes of each vector's tensors.
        labels: how errors name each vector.

    Raises:
        UserError: a tensor of integers, or of floating-point numbers of 8 bits.
    """
    for kind, label in zip(kinds, labels, strict=True):
        for name, dtype in kind.items():
            if not dtype.is_floating_point:
                raise UserError(
                    f"{label}: tensor {name!r} holds {dtype}, expected floating point; checkpoints "
                    "are merged with their base"
                )
            if dtype not in FLOATS:
                raise UserError(f"{label}: tensor {name!r} holds {dtype}, expected 16 to 64 bits")
    wide = {name for kind in kinds for name, dtype in kind.items() if dtype == torch.float64}
    return {name: torch.float64 if name in wide else torch.float32 for name in kinds[0]}
