"""Any file, index of shards, folder or name of the hub as a state."""

import json
import os
import re
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.gguf import GgufFile
from negmerge.checkpoints.hub import listed, locate, weights
from negmerge.checkpoints.states import FLOATS, StateFile, StoredState
from negmerge.checkpoints.torch_files import TorchFile
from negmerge.errors import UserError
from negmerge.files import read_json

# What lies where weights should be: how it starts, what it is, and what to do about it.
FOREIGN = (
    (b"version https://git-lfs", "a Git LFS pointer in place of the weights", "run `git lfs pull`"),
    (b"<", "a web page in place of the weights", "download the file itself"),
    (b"\x89HDF", "an HDF5 file of Keras", "give it as safetensors"),
    (b"\x93NUMPY", "an array of NumPy", "give the model as safetensors"),
    (b"\x1f\x8b", "a file packed by gzip", "unpack it"),
)
ADVICE = "expected weights of 16 to 64 bits: give the model that was quantised"


def open_state(place: str | Path, key: str | None = None) -> StoredState:
    """Open a state, recognised by what it is.

    `place` is a safetensors file, a file of `torch.save`, a GGUF file, an index of shards of the
    first two, a folder of transformers, timm, open_clip or diffusers with one of these, or
    `org/name@revision` of the hub; `key` is the place of the state, such as `ema`, in a training
    checkpoint that holds several.
    """
    try:
        path = locate(place)
        file = weights(path) if path.is_dir() else path
        is_index = file.suffix == ".json"
        state = Shards(file) if is_index else open_file(file, key)
    except OSError as error:
        raise UserError(f"{error.filename or place}: cannot be read: {error.strerror}") from error
    if not isinstance(state, GgufFile):
        _refuse_quantised(
            state, file.with_name("config.json") if file != path or is_index else None
        )
    return state


def open_file(path: Path, key: str | None = None) -> StoredState:
    """Open a file of weights, whatever it is called."""
    with open(path, "rb") as stream:
        start = stream.read(64)
    if not start:
        raise UserError(f"{path}: an empty file, expected weights")
    # The header of a safetensors file, after its length in eight bytes.
    if start[8:9] == b"{":
        return StateFile(path)
    if start.startswith(b"GGUF"):
        return GgufFile(path)
    for begin, kind, advice in FOREIGN:
        if start.lstrip().startswith(begin):
            raise UserError(f"{path}: {kind}; {advice}")
    # A zip archive or a pickle: torch since 1.6 and before.
    if not start.startswith((b"PK", b"\x80")):
        return StateFile(path)
    if path.suffix == ".safetensors":  # torch goes by this name
        raise UserError(f"{path}: a file of torch.save; rename it to {path.stem}.pt")
    return TorchFile(path, key)


def _refuse_quantised(state: StoredState, config: Path | None) -> None:
    """Check that a state's weights are numbers as they are used."""
    if config and config.is_file():
        keys = read_json(config)
        for key in ("quantization_config", "quantization"):
            if isinstance(keys.get(key), dict) and keys[key]:
                method = keys[key].get("quant_method", "mlx" if key == "quantization" else "")
                raise UserError(f"{config}: {key} says {method}, {ADVICE}")
    for name in state.names:
        dtype = state.layouts[name].dtype
        # Packed weights are whole numbers or have 8 bits, under these names in all that pack.
        is_plain = dtype in (torch.bool, *FLOATS)
        if re.search(r"weight(_packed)?$", name) and not is_plain:
            raise UserError(f"{state.path}: tensor {name!r} holds {dtype}, {ADVICE}")


class Shards(StoredState):
    """A state in several files with an index, as the Hugging Face hub stores them."""

    def __init__(self, path: Path):
        try:
            places = {
                n: str(file) for n, file in json.loads(path.read_text())["weight_map"].items()
            }
        except (OSError, ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise UserError(f"{path}: not an index of shards ({error!r})") from error
        files, beside = sorted(set(places.values())), os.listdir(path.parent)
        for file in files:
            if file not in beside:
                raise UserError(f"{path}: its shard {file!r} is not beside it")
        opened = {file: open_file(path.with_name(file)) for file in files}
        for name, file in places.items():
            if name not in opened[file].layouts:
                raise UserError(
                    f"{opened[file].path}: tensor {name!r} is missing, the index puts it here"
                )
        self._shards = {name: opened[file] for name, file in places.items()}
        layouts = {name: shard.layouts[name] for name, shard in self._shards.items()}
        super().__init__(path, layouts, [shard.path for shard in opened.values()])
        held = {name for shard in opened.values() for name in shard.names}
        if left := sorted(held - set(places)):
            self.notes = [f"{path}: leaves out what its shards hold: {listed(left)}"]

    def numbers(self, name: str, start: int, stop: int) -> Tensor:
        """Return the numbers start..stop of a flattened tensor, as they are stored."""
        return self._shards[name].numbers(name, start, stop)

    def place(self, name: str) -> tuple[Path, int] | None:
        """Return the file and the byte where a tensor's numbers start; None if that is unknown."""
        return self._shards[name].place(name)
