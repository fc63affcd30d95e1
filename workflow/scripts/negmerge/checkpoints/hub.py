"""Where the files of weights are: in a folder of some library, or in the hub's cache."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from negmerge.errors import UserError, hide_secrets

# How safetensors files and those of torch begin: in transformers and timm, open_clip, diffusers.
STEMS = ("model", "open_clip_model", "diffusion_pytorch_model")
TORCH = ("pytorch_model", "open_clip_pytorch_model", "diffusion_pytorch_model")
SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".th", ".ckpt", ".pth.tar", ".gguf")
# What trainings leave beside the weights, under the same suffixes.
BESIDE = re.compile(r"(adapter_model|optim|random_states|rng_state|scal|sched|training_args)")
INDEX = ".index.json"
SHARD = re.compile(r"-\d+-of-\d+\.\w+$")
ADAPTER = "adapter_config.json"
# The files that may hold a model, by library, in the order in which it looks for them.
LAYOUTS = [
    [f"{name}{end}" for name in (f"{safe}.safetensors", f"{torch}.bin") for end in ("", INDEX)]
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
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    models = _models(folder)
    if len(models) == 1:
        return folder / models[0]
    if models:
        raise UserError(f"{folder}: holds several models, name one of {listed(models)}")
    if ADAPTER in held:
        raise UserError(f"{folder}: an adapter ({ADAPTER}), expected the weights of a whole model")
    if shards := [name for name in held if SHARD.search(name) and name.endswith(SUFFIXES)]:
        if shards[0].endswith(".gguf"):
            raise UserError(f"{folder}: holds parts of a GGUF file, such as {shards[0]}; join them")
        index = SHARD.sub(f"{Path(shards[0]).suffix}{INDEX}", shards[0])
        raise UserError(f"{folder}: holds {shards[0]}, but not the index of its shards, {index}")
    if parts := [name for name in held if (folder / name).is_dir() and _models(folder / name)]:
        raise UserError(f"{folder}: holds no weights itself, name one of {listed(parts)} in it")
    raise UserError(f"{folder}: holds no weights; found {listed(held)}")


def is_gguf(path: Path) -> bool:
    """Whether the weights of a file or folder are a GGUF file, which others hardly load."""
    return (weights(path) if path.is_dir() else path).suffix == ".gguf"


def _models(folder: Path) -> list[str]:
    """Name the models of a folder: by the layouts of libraries, else all that may be weights."""
    held = {path.name for path in folder.iterdir() if path.is_file()}
    known = [next((name for name in layout if name in held), None) for layout in LAYOUTS]
    loose = (
        name
        for name in sorted(held)
        if name.removesuffix(INDEX).endswith(SUFFIXES)
        and (name.endswith(INDEX) or not (BESIDE.match(name) or SHARD.search(name)))
    )
    return [name for name in known if name] or list(loose)


def missing(path: Path) -> UserError:
    """Return the error of a path that is not there, with the names that are most like it."""
    lost, folder = path, path.parent
    while not folder.exists():
        lost, folder = folder, folder.parent
    if not folder.is_dir():
        return UserError(f"{path}: no such file or folder; {folder} is a file")
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    near = difflib.get_close_matches(lost.name, held, LISTED, 0.5) or held
    where = "here" if folder == Path() else f"in {folder}"
    return UserError(f"{path}: no such file or folder; found {where}: {listed(near)}")


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
    import huggingface_hub as hub  # which takes a while to load

    hide_secrets("huggingface_hub")
    with suppress(Exception):  # the library has many errors for what it does not find
        cached = hub.snapshot_download(repository, revision=revision, local_files_only=True)
        if _is_whole(Path(cached, inside)):
            return Path(cached, inside)
    try:
        files = wanted(hub.list_repo_files(repository, revision=revision), inside, repository)
        folder = hub.snapshot_download(repository, revision=revision, allow_patterns=files)
    except UserError:
        raise
    except Exception as error:
        at = f" --revision {revision}" if revision else ""
        raise UserError(
            f"{repository}: not whole in the hub's cache, and the hub does not give it "
            f"({type(error).__name__}); fetch it by `hf download {repository}{at}`"
        ) from error
    return Path(folder, inside)


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
    chosen = known or safe or top
    if len(chosen) > 1 and all(name.endswith(".gguf") for name in chosen):
        raise UserError(f"{repository}: holds several models, name one of {listed(chosen)}")
    return [f"{start}{name}" for name in (*chosen, *filter(SMALL.fullmatch, held))]


def _is_whole(place: Path) -> bool:
    """Whether the cache has weights at a place, and all that an index there names."""
    if place.is_file():
        return True
    files = {path.name for path in place.rglob("*") if path.is_file()}
    indices = [json.loads(index.read_text())["weight_map"] for index in place.glob(f"*{INDEX}")]
    named = {file for places in indices for file in places.values()}
    return named <= files and any(name.endswith(SUFFIXES) for name in files)
