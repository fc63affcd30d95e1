"""Opening a state, whatever format it has."""

from pathlib import Path

from negmerge.checkpoints.folders import weights
from negmerge.checkpoints.hub import locate
from negmerge.checkpoints.quantised import refuse_quantised
from negmerge.checkpoints.recognition import open_file
from negmerge.checkpoints.shards import Shards
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError


def open_state(place: str | Path, key: str | None = None) -> StoredState:
    """Open a state: a safetensors file, a file of `torch.save`, an index of shards of either, a
    folder with one of these, or `org/name@revision` of the hub.

    `key` is the place of the state, such as `ema`, in a training checkpoint that holds several.
    """
    try:
        path = locate(place)
        found = weights(path) if path.is_dir() else path
        state = Shards(found) if found.suffix == ".json" else open_file(found, key)
    except OSError as error:
        raise UserError(f"{error.filename or place}: cannot be read: {error.strerror}") from error
    refuse_quantised(state, found.parent if found != path or found.suffix == ".json" else None)
    return state
