"""Opening a state, whatever format it has."""

from pathlib import Path

from negmerge.checkpoints.safetensors_file import StateFile
from negmerge.checkpoints.shards import Shards
from negmerge.checkpoints.stored import StoredState

INDEX = "model.safetensors.index.json"


def open_state(path: str | Path, key: str | None = None) -> StoredState:
    """Open a state: a safetensors file, an index of shards, or a folder with such an index.

    Raises:
        UserError: as `StateFile` and `Shards`.
    """
    path = Path(path)
    if path.is_dir():
        path = path / (INDEX if (path / INDEX).exists() else "model.safetensors")
    return Shards(path) if path.name.endswith(".index.json") else StateFile(path)
