"""Signs of quantised weights, whose packed numbers are no weights that could be subtracted."""

from pathlib import Path

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
    """Check that a state's weights are numbers as they are used.

    Args:
        state: what was opened.
        folder: where its configuration may be, if it is a folder's.

    Raises:
        UserError: its configuration or the name of a tensor tells of quantisation.
    """
    config = folder / "config.json" if folder else None
    if config and config.is_file():
        told = read_json(config)
        for key in ("quantization_config", "quantization"):
            if isinstance(told.get(key), dict) and told[key]:
                method = told[key].get("quant_method", "mlx" if key == "quantization" else "")
                raise UserError(f"{config}: {key} says quantised {method}, {ADVICE}")
    for name in state.names:
        stem, _, end = name.rpartition(".")
        packed = end in SCALES and _is_packed(state, f"{stem}.weight")
        if end in MARKS or packed:
            raise UserError(
                f"{state.path}: tensor {name!r} is of weights quantised by "
                f"{MARKS.get(end) or SCALES[end]}, {ADVICE}"
            )


def _is_packed(state: StoredState, name: str) -> bool:
    try:
        return state.dtype(name).itemsize == 1 or not state.is_float(name)
    except UserError:
        return True
    except KeyError:
        return False
