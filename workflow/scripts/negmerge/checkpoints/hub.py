"""Where weights are: in a folder as some library lays it out, or in the hub's cache."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from negmerge.errors import UserError, hide_secrets

# How safetensors files and those of torch begin: in transformers and timm, open_clip, diffusers.
STEMS = ("model", "open_clip_model", "diffusion_pytorch_model")
TORCH = ("pytorch_model", "open_clip_pytorch_model", "diffusion_pytorch_model")
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".pth.tar")
# What trainings leave beside the weights, under the same suffixes.
BESIDE = re.compile(r"(adapter_model|optim|random_states|rng_state|scal|sched|training_args)")
ENDS = ("", ".index.json")
SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
ADAPTER = "adapter_config.json"
# The files that may hold a model, by library, in the order in which it looks for them.
LAYOUTS = [
    [f"{name}{end}" for name in (f"{safe}.safetensors", f"{torch}.bin") for end in ENDS]
    for safe, torch in zip(STEMS, TORCH, strict=True)
]
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
    if models := _models(folder):
        if len(models) > 1:
            raise UserError(f"{folder}: holds several models, name one of {listed(models)}")
        return folder / models[0]
    held = _visible(folder)
    if ADAPTER in held:
        raise UserError(f"{folder}: an adapter ({ADAPTER}), expected the weights of a whole model")
    if shards := [name for name in held if SHARD.search(name) and name.endswith(SUFFIXES)]:
        index = SHARD.sub(f"{Path(shards[0]).suffix}.index.json", shards[0])
        raise UserError(f"{folder}: holds {shards[0]}, but not the index of its shards, {index}")
    parts = [name for name in held if (folder / name).is_dir() and _models(folder / name)]
    if parts:
        raise UserError(f"{folder}: holds no weights itself, name one of {listed(parts)} in it")
    raise UserError(f"{folder}: holds no weights; found {listed(held)}")


def missing(path: Path) -> UserError:
    """Return the error of a path that is not there, with the names that are most like it."""
    lost, folder = path, path.parent
    while not folder.exists():
        lost, folder = folder, folder.parent
    if not folder.is_dir():
        return UserError(f"{path}: no such file or folder; {folder} is a file")
    held = _visible(folder)
    near = difflib.get_close_matches(lost.name, held, LISTED, 0.5) or held
    where = "here" if folder == Path() else f"in {folder}"
    return UserError(f"{path}: no such file or folder; found {where}: {listed(near)}")


def _visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def _models(folder: Path) -> list[str]:
    """Name the models of a folder: by the layouts of libraries, else all that may be weights."""
    held = {path.name for path in folder.iterdir() if path.is_file()}
    known = [next((name for name in layout if name in held), None) for layout in LAYOUTS]
    loose = (
        name
        for name in sorted(held)
        if name.endswith(tuple(f"{end}.index.json" for end in SUFFIXES))
        or (name.endswith(SUFFIXES) and not BESIDE.match(name) and not SHARD.search(name))
    )
    return [name for name in known if name] or list(loose)


def listed(names: Sequence[str]) -> str:
    """List names in a line, and say how many more there are."""
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return (", ".join(names[:LISTED]) or "nothing") + more


def locate(place: str | Path) -> Path:
    """Return where a state is: a path as it is, or where the cache has `org/name@revision`.

    What the cache lacks is fetched. A folder or file may follow the name: `org/name/unet@revision`.
    """
    path = Path(place)
    try:
        if path.exists():
            return path
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    model = ID.fullmatch(str(place))
    is_file = str(place).endswith(SUFFIXES) and not (model and model["inside"])
    if not model or is_file or (model["revision"] is None and path.parent.is_dir()):
        raise missing(path)
    return _snapshot(model["repository"], model["revision"], model["inside"].strip("/"))


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
    """Choose what to fetch of a folder or file, or of all: safe weights first, small files."""
    names = list(names)
    if inside in names:
        return [inside]
    start = f"{inside}/" if inside else ""
    held = [name.removeprefix(start) for name in names if name.startswith(start)]
    weights = [name for name in held if name.endswith(SUFFIXES)]
    top = [name for name in weights if "/" not in name or MODULE.fullmatch(name)]
    if not top:
        parts = sorted({name.partition("/")[0] for name in weights or names})
        raise UserError(f"{repository}: no weights at {inside or 'its top'}; found {listed(parts)}")
    safe = [name for name in top if name.endswith(SUFFIXES[0])]
    # Some have the weights a second time, in the form of their authors.
    known = [name for name in safe if name.rpartition("/")[2].startswith(STEMS)]
    small = [name for name in held if SMALL.fullmatch(name)]
    return [f"{start}{name}" for name in [*(known or safe or top), *small]]


def _is_whole(place: Path) -> bool:
    """Whether the cache has weights at a place, and all that an index there names."""
    if place.is_file():
        return True
    files = {path.name for path in place.rglob("*") if path.is_file()}
    for index in place.glob("*.index.json"):
        if not set(json.loads(index.read_text())["weight_map"].values()) <= files:
            return False
    return any(name.endswith(SUFFIXES) for name in files)
