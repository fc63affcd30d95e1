"""Signs of quantised weights, whose packed numbers are no weights that could be subtracted."""

from pathlib import Path

import torch

from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.files import read_json

# The endings of tensors that only quantised layers have.
MARKS = {
    "absmax": "bitsandbytes",
    "quant_map": "bitsandbytes",
    "SCB": "bitsandbytes",
    "qweight": "AWQ or GPTQ",
    "qzeros": "AWQ or GPTQ",
    "weight_packed": "compressed-tensors",
    "weight_scale_inv": "float8 with scales",
}
# Endings that mean it only beside a weight that is packed into whole numbers or 8 bits.
SCALES = {"scales": "MLX", "weight_scale": "float8 or int8 with scales"}
ADVICE = "expected weights of 16 to 64 bits: give the model that was quantised"


def refuse_quantised(state: StoredState, folder: Path | None) -> None:
    """Check that a state's weights are numbers as they are used."""
    config = folder / "config.json" if folder else None
    if config and config.is_file():
        told = read_json(config)
        for key in ("quantization_config", "quantization"):
            if isinstance(told.get(key), dict) and told[key]:
                method = told[key].get("quant_method", "mlx" if key == "quantization" else "")
                raise UserError(f"{config}: {key} says {method}, {ADVICE}")
    for name in state.names:
        stem, _, end = name.rpartition(".")
        if end in MARKS or (end in SCALES and _is_packed(state, f"{stem}.weight")):
            raise UserError(
                f"{state.path}: tensor {name!r} is of weights quantised by "
                f"{MARKS.get(end) or SCALES[end]}, {ADVICE}"
            )
    for name in state.names:
        if name.endswith("weight") and _is_packed(state, name) and not state.is_float(name):
            raise UserError(f"{state.path}: tensor {name!r} holds {state.dtype(name)}, {ADVICE}")


def _is_packed(state: StoredState, name: str) -> bool:
    """Whether a tensor, if there is one of this name, has 8 bits or whole numbers."""
    try:
        dtype = state.dtype(name)
    except UserError:
        return True
    except KeyError:
        return False
    return dtype != torch.bool and (dtype.itemsize == 1 or not dtype.is_floating_point)
