"""States in several files with an index."""

import json
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.safetensors_file import StateFile
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError


class Shards(StoredState):
    """A state in several files with an index, as the Hugging Face hub stores them.

    Args:
        path: the index, `*.index.json`.

    Raises:
        UserError: the index or a shard is missing or wrong, or a shard is elsewhere.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            places = json.loads(self.path.read_text())["weight_map"]
            files = {name: str(place) for name, place in places.items()}
        except FileNotFoundError:
            raise UserError(f"{path}: no such file") from None
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: not an index of shards ({error!r})") from error
        for file in set(files.values()):
            if Path(file).name != file:
                raise UserError(
                    f"{path}: shard {file!r} must be the name of a file beside the index"
                )
        opened = {file: StateFile(self.path.parent / file) for file in sorted(set(files.values()))}
        self._shards: dict[str, StoredState] = {name: opened[file] for name, file in files.items()}
        self.names = sorted(files)
        self.metadata = {}
        self.files = [shard.path for shard in opened.values()]
        held = {file: set(shard.names) for file, shard in opened.items()}
        for name, file in files.items():
            if name not in held[file]:
                raise UserError(
                    f"{opened[file].path}: tensor {name!r} is missing, the index puts it here"
                )

    def shape(self, name: str) -> tuple[int, ...]:
        """See `StoredState`."""
        return self._shards[name].shape(name)

    def dtype(self, name: str) -> torch.dtype:
        """See `StoredState`."""
        return self._shards[name].dtype(name)

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """See `StoredState`."""
        return self._shards[name].numbers(name, start, stop)

    def place(self, name: str) -> tuple[Path, int] | None:
        """See `StoredState`."""
        return self._shards[name].place(name)
