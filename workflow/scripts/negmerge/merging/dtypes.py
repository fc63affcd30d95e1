"""The dtypes in which tensors are merged, and those that cannot be merged."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from negmerge.checkpoints import StoredState
from negmerge.checks import FLOATS
from negmerge.errors import UserError
from negmerge.files import read_json

# Names of whole numbers that stand for weights, as libraries for quantised models store them.
PACKED = ("weight", "qweight", "weight_packed", "weight_int8", "blocks")


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


def require_plain(state: StoredState) -> None:
    """Check that a model's weights are stored as they are, not quantised.

    Raises:
        UserError: the configuration beside the weights says so, or a weight is of whole numbers.
    """
    config = Path(state.files[0]).parent / "config.json"
    if config.is_file() and (found := read_json(config).get("quantization_config")):
        how = found.get("quant_method", "unknown") if isinstance(found, dict) else "unknown"
        raise UserError(
            f"{config}: the weights are quantised (method {how}), which cannot be merged; give the "
            "model as it was before"
        )
    for name in state.names:
        last = name.rpartition(".")[2]
        if last in PACKED and not state.dtype(name).is_floating_point:
            raise UserError(
                f"{state.path}: tensor {name!r} holds {state.dtype(name)}: quantised weights "
                "cannot be merged; give the model as it was before"
            )
