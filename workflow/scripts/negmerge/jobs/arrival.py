"""What a study needs from elsewhere: data sets and weights, where they are from, what is there."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from negmerge.data.mirrors import choose, prepared_from
from negmerge.jobs.listing import require_workflow
from negmerge.settings.catalogue import Catalogue, Model
from negmerge.settings.datasets import ORIGINAL, Download
from negmerge.settings.load import load_yaml
from negmerge.settings.study import load_study
from negmerge.standalone.text_table import aligned

HERE, MADE = "files here", "made here"


def overview(name: str, config: str | Path = "config") -> dict:
    """Tell what a study needs from elsewhere, and what of it is there, as JSON values.

    No file is opened. `config.yaml` of the configuration folder names the folder of data.
    """
    study, chosen = load_study(config, name, options=False), load_yaml(Path(config) / "config.yaml")
    data, known = Path(chosen.get("data", "data")), study.catalogue
    records = {name for one in study.experiments.values() for name in one.weights(known)}
    rows = {name: known.fetched(name) for name in sorted(records)}
    return {
        "study": name,
        "sets": [_set(one, known, data, chosen.get("data_sources")) for one in study.datasets],
        "weights": [_weights(model, row, data) for model, row in rows.items() if row.is_fetched],
    }


def fetch(name: str) -> int:
    """Fetch what a study needs from elsewhere, as the target `downloads` does; give its status."""
    require_workflow()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"study={name}"]
    return subprocess.run([*command, "--", "downloads"]).returncode


def _set(name: str, known: Catalogue, data: Path, asked: Mapping | None) -> dict:
    row, mirror = known.datasets[name], choose(name, known, data, asked)
    found = (mirror or row).files.values()
    files = [file for file in found if isinstance(file, Download)]
    folder = data / "downloads" / (row.downloads_of or name)
    places = {file.name: folder / file.name for file in files}
    source = mirror.name if mirror else ORIGINAL if files else HERE if row.files else MADE
    return {
        "name": name,
        "title": row.title,
        "source": source,
        "addresses": [file.urls[0] for file in files if file.urls],
        "files": len(files),
        "present": sum(_is_there(places[file.name], file) for file in files),
        "bytes": sum(file.size or 0 for file in files),
        "unknown": [file.name for file in files if file.size is None],
        "by_hand": any(file.manual for file in files),
        "missing_by_hand": [f.name for f in files if f.manual and not places[f.name].is_file()],
        "prepared": _is_prepared(data / name / row.prepared),
        "licence": row.licence,
        "differs": mirror.differs if mirror else None,
    }


def _is_prepared(path: Path) -> bool:
    return prepared_from(path) is not None if path.suffix == ".safetensors" else path.is_file()


def _is_there(path: Path, file: Download) -> bool:
    return path.is_file() and file.bytes in (None, path.stat().st_size)


def _weights(name: str, row: Model, data: Path) -> dict:
    hub = row.hub
    return {
        "model": name,
        "repository": hub.repository if hub else None,
        "revision": hub.revision if hub else None,
        "bytes": (hub.bytes or hub.about_bytes) if hub else None,
        "present": (data / "weights" / name).is_file(),
    }


def describe(found: Mapping) -> Iterator[str]:
    """Print what a study needs: a row for each set and model, then what a person has to know."""
    yield f"{found['study']}: what it needs from elsewhere"
    yield ""
    rows = [["set", "source", "by hand", "GB", "files there", "prepared", "licence"]]
    for one in found["sets"]:
        there = f"{one['present']} of {one['files']}" if one["files"] else ""
        known = f"{one['bytes'] / 1e9:.3g}" if one["bytes"] else ""
        more = "?" if one["unknown"] and not known else "+ ?" if one["unknown"] else ""
        row = [one["name"], one["source"], _yes(one["by_hand"]), f"{known} {more}".strip(), there]
        rows.append([*row, _yes(one["prepared"]), one["licence"]])
    for one in found["weights"]:
        size = f"{one['bytes'] / 1e9:.3g}" if one["bytes"] else "?"
        there = f"{int(one['present'])} of 1"
        rows.append([one["model"], one["repository"] or "its package", "no", size, there, "", ""])
    yield from aligned(rows, left=len(rows[0]))
    yield ""
    total = sum(one["bytes"] or 0 for part in ("sets", "weights") for one in found[part])
    unknown = [f"{one['name']}/{file}" for one in found["sets"] for file in one["unknown"]]
    yield f"In all {total / 1e9:.3g} GB" + (
        f", and of unknown size: {', '.join(unknown)}" if unknown else ""
    )
    for one in found["sets"]:
        if one["missing_by_hand"]:
            yield f"by hand: {one['name']}: {', '.join(one['missing_by_hand'])}"
        if one["differs"]:
            yield f"mirror: {one['name']}: {one['differs']}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"
