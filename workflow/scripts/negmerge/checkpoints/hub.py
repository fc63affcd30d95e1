"""Where weights are: in a folder as some library lays it out, or in the hub's cache."""

import difflib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from negmerge.errors import UserError, hide_secrets

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
PART = r"\w[\w.-]*"
# After the name of a repository, a folder or file in it may be named.
ID = re.compile(
    rf"(?P<repository>{PART}/{PART})(?P<inside>(/{PART})*)(@(?P<revision>{PART}(/{PART})*))?"
)
# The small files of a model: configuration, tokenizer, templates, code, licence.
SMALL = re.compile(r"(.*\.(json|txt|model|jinja|py|md|tiktoken)|LICEN[SC]E.*|NOTICE.*)", re.DOTALL)
# The folders of a sentence encoder's modules, such as 2_Dense.
MODULE = re.compile(r"\d+_\w+/[^/]*")


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


def locate(place: str | Path) -> Path:
    """Return where a state is: a path as it is, or where the cache has `org/name@revision`.

    A path that exists goes before a model of that name. What the cache lacks is fetched. A folder
    or file of the repository may follow its name: `org/name/unet@revision`.
    """
    path = Path(place)
    try:
        if path.exists():
            return path
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    found = ID.fullmatch(str(place))
    is_file = str(place).endswith(SUFFIXES) and not (found and found["inside"])
    if not found or is_file or (found["revision"] is None and path.parent.is_dir()):
        raise missing(path)
    return _snapshot(found["repository"], found["revision"], found["inside"].strip("/"))


def _snapshot(repository: str, revision: str | None, inside: str) -> Path:
    """Find or fetch a model in the hub's cache."""
    try:
        import huggingface_hub as hub
    except ImportError:
        raise UserError(
            f"{repository}: no such file or folder, and models of the hub need the package "
            "huggingface_hub: pip install 'negmerge[hub]'"
        ) from None
    download = hub.snapshot_download
    hide_secrets("huggingface_hub")
    try:
        cached = Path(download(repository, revision=revision, local_files_only=True))
        if _is_whole(cached / inside):
            return cached / inside
    except Exception:  # the library has many errors for what it does not find
        pass
    try:
        names = hub.list_repo_files(repository, revision=revision)
        files = wanted(names, inside, repository)
        folder = download(repository, revision=revision, allow_patterns=files)
    except UserError:
        raise
    except Exception as error:
        at = f" --revision {revision}" if revision else ""
        raise UserError(
            f"{repository}: not whole in the hub's cache, and the hub does not give it "
            f"({type(error).__name__}); fetch it by `hf download {repository}{at}`"
        ) from error
    return Path(folder) / inside


def wanted(names: Iterable[str], inside: str, repository: str) -> list[str]:
    """Choose what to fetch: weights, as safetensors if there are any, and small files.

    `inside` is the folder or file that was asked for; it is empty for the whole repository.
    """
    names = list(names)
    if inside in names:
        return [inside]
    start = f"{inside}/" if inside else ""
    held = [name.removeprefix(start) for name in names if name.startswith(start)]
    weights = [one for one in held if one.endswith(SUFFIXES)]
    here = [one for one in weights if "/" not in one or MODULE.fullmatch(one)]
    if not here:
        parts = sorted({name.partition("/")[0] for name in weights or names})
        raise UserError(f"{repository}: no weights at {inside or 'its top'}; found {listed(parts)}")
    safe = [one for one in here if one.endswith(SUFFIXES[0])]
    # Some have the weights a second time, in the form of their authors.
    known = [one for one in safe if one.rpartition("/")[2].startswith(STEMS)]
    small = [one for one in held if SMALL.fullmatch(one)]
    return [f"{start}{one}" for one in [*(known or safe or here), *small]]


def _is_whole(place: Path) -> bool:
    """Whether the cache has weights at a place, and all that an index there names."""
    if place.is_file():
        return True
    files = {path.name for path in place.rglob("*") if path.is_file()}
    for index in place.glob("*.index.json"):
        if not set(json.loads(index.read_text())["weight_map"].values()) <= files:
            return False
    return any(name.endswith(SUFFIXES) for name in files)
