"""States (name -> tensor): reading and writing them whole."""

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from negmerge.checkpoints.checks import require_finite
from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError
from negmerge.files import replacing

State = dict[str, Tensor]


def read_state(path: str | Path, key: str | None = None) -> State:
    """Read a whole state; see `open_state`."""
    return dict(open_state(path, key).items())


def write_state(path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, object]):
    """Write a state and its `metadata` (JSON values) at once or not at all.

    Equal states and metadata give equal bytes. Tensors that share memory, as tied weights do, are
    written once for each name, so that they can be read without knowing of it.
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
    """Read the metadata that `write_state` put into a file's header; empty for foreign files."""
    try:
        return json.loads(open_state(path).metadata.get("negmerge", "{}"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: its header entry `negmerge` is not JSON ({error})") from error


def shapes(state: Mapping[str, Tensor] | StoredState) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor of a state in memory or on disk."""
    if isinstance(state, StoredState):
        return {name: state.shape(name) for name in state.names}
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
