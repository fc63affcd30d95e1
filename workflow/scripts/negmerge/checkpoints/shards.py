"""States in several files with an index."""

import json
import os
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.folders import listed
from negmerge.checkpoints.recognition import open_file
from negmerge.checkpoints.stored import StoredState
from negmerge.errors import UserError


class Shards(StoredState):
    """A state in several files with an index, as the Hugging Face hub stores them."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        places = _places(self.path)
        opened = {file: open_file(self.path.with_name(file)) for file in sorted({*places.values()})}
        held = {file: set(shard.names) for file, shard in opened.items()}
        for name, file in places.items():
            if name not in held[file]:
                raise UserError(
                    f"{opened[file].path}: tensor {name!r} is missing, the index puts it here"
                )
        self._shards = {name: opened[file] for name, file in places.items()}
        self.names = sorted(places)
        self.metadata = {}
        self.files = [shard.path for shard in opened.values()]
        if left := sorted(set().union(*held.values()) - set(places)):
            self.notes = [f"{path}: leaves out what its shards hold: {listed(left)}"]

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


def _places(index: Path) -> dict[str, str]:
    """Read which tensor is in which file beside an index."""
    try:
        places = json.loads(index.read_text())["weight_map"]
        files = {name: str(file) for name, file in places.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise UserError(f"{index}: not an index of shards ({error!r})") from error
    beside = os.listdir(index.parent)
    for file in files.values():
        if file not in beside:
            raise UserError(f"{index}: its shard {file!r} is not beside it")
    return files
