"""Where the weights of a folder are, in the layouts of the libraries that write them."""

import difflib
import re
from pathlib import Path

from negmerge.errors import UserError

# How safetensors files and those of torch begin: in transformers and timm, open_clip, diffusers.
STEMS = ("model", "open_clip_model", "diffusion_pytorch_model")
TORCH = ("pytorch_model", "open_clip_pytorch_model", "diffusion_pytorch_model")
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".pth.tar")
# What trainings leave beside the weights, under the same suffixes.
BESIDE = re.compile(r"(adapter_model|optim|random_states|rng_state|scal|sched|training_args)")
SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
ADAPTER = "adapter_config.json"
# How many names a line lists.
LISTED = 8


def weights(folder: Path) -> Path:
    """Find the file or index with the weights of a folder."""
    if found := _candidates(folder):
        if len(found) > 1:
            raise UserError(f"{folder}: holds several models, name one of {listed(found)}")
        return folder / found[0]
    held = _seen(folder)
    if ADAPTER in held:
        raise UserError(f"{folder}: an adapter ({ADAPTER}), expected the weights of a whole model")
    if shards := [name for name in held if SHARD.search(name) and name.endswith(SUFFIXES)]:
        index = SHARD.sub(f"{Path(shards[0]).suffix}.index.json", shards[0])
        raise UserError(f"{folder}: holds {shards[0]}, but not the index of its shards, {index}")
    parts = [name for name in held if (folder / name).is_dir() and _candidates(folder / name)]
    if parts:
        raise UserError(f"{folder}: holds no weights itself, name one of {listed(parts)} in it")
    raise UserError(f"{folder}: holds no weights; found {listed(held)}")


def missing(path: Path) -> UserError:
    """Return the error of a path that is not there, with the names that are most like it."""
    lost, there = path, path.parent
    while not there.exists():
        lost, there = there, there.parent
    if not there.is_dir():
        return UserError(f"{path}: no such file or folder; {there} is a file")
    held = _seen(there)
    near = difflib.get_close_matches(lost.name, held, LISTED, 0.5) or held
    where = "here" if there == Path() else f"in {there}"
    return UserError(f"{path}: no such file or folder; found {where}: {listed(near)}")


def _seen(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _candidates(folder: Path) -> list[str]:
    """Name the models of a folder: by the layouts of libraries, else all that may be weights."""
    held = {path.name for path in folder.iterdir() if path.is_file()}
    known = [
        next((name for name in _names(stem, torch_stem) if name in held), None)
        for stem, torch_stem in zip(STEMS, TORCH, strict=True)
    ]
    loose = (
        name
        for name in sorted(held)
        if name.endswith(tuple(f"{end}.index.json" for end in SUFFIXES))
        or (name.endswith(SUFFIXES) and not BESIDE.match(name) and not SHARD.search(name))
    )
    return [name for name in known if name] or list(loose)


def _names(stem: str, torch_stem: str) -> list[str]:
    """Name the files that may hold a model, in the order in which its library looks for them."""
    whole = (f"{stem}.safetensors", f"{torch_stem}.bin")
    return [f"{name}{end}" for name in whole for end in ("", ".index.json")]


def listed(names: list[str]) -> str:
    """List names in a line, and say how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) or "nothing") + more
