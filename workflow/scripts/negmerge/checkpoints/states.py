"""States (name -> tensor) in safetensors files of this project: reading and writing them whole."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.stored import StateFile, StoredState
from negmerge.errors import UserError
from negmerge.files import replacing

State = dict[str, Tensor]


def read_state(path: str | Path) -> State:
    """Read a whole safetensors file; `opening.open_state` reads any format."""
    return dict(StateFile(path).items())


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, object]):
    """Write a state and its `metadata` (JSON values) at once or not at all.

    Equal states and metadata give equal bytes. Tied tensors are written once for each name.
    """
    tensors: State = {}
    places = set()
    for name in sorted(state):
        tensor = require_finite(state[name], name, path).detach().cpu().contiguous()
        place = tensor.untyped_storage().data_ptr()
        # safetensors refuses two tensors in one memory.
        tensors[name] = tensor.clone() if place in places else tensor
        places.add(place)
    # One entry, since safetensors does not keep the order of several.
    header = {"negmerge": json.dumps(metadata, sort_keys=True)}
    with replacing(path) as partial:
        save_file(tensors, partial, metadata=header)


def read_metadata(path: str | Path) -> dict:
    """Read the metadata that `write_state` put into a file's header; empty for other files."""
    try:
        return json.loads(StateFile(path).metadata.get("negmerge", "{}"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header entry `negmerge` is not JSON ({error})") from error


def shapes(state: Mapping[str, Tensor] | StoredState) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a state in memory or on disk."""
    if isinstance(state, StoredState):
        return {name: state.shape(name) for name in state.names}
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
