"""Models of the Hugging Face hub, through the cache of its own library."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from negmerge.checkpoints.folders import STEMS, SUFFIXES, listed, missing
from negmerge.errors import UserError, hide_secrets

PART = r"\w[\w.-]*"
# After the name of a repository, a folder or file in it may be named.
ID = re.compile(
    rf"(?P<repository>{PART}/{PART})(?P<inside>(/{PART})*)(@(?P<revision>{PART}(/{PART})*))?"
)
# The small files of a model: configuration, tokenizer, templates, code, licence.
SMALL = re.compile(r"(.*\.(json|txt|model|jinja|py|md|tiktoken)|LICEN[SC]E.*|NOTICE.*)", re.DOTALL)
# The folders of a sentence encoder's modules, such as 2_Dense.
MODULE = re.compile(r"\d+_\w+/[^/]*")


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
