"""What a study needs from elsewhere: data sets and weights, where they are from, what is there."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from negmerge.jobs.listing import require_workflow
from negmerge.settings.catalogue import Catalogue
from negmerge.settings.datasets import ORIGINAL, Download, choose, prepared_from
from negmerge.settings.load import load_yaml
from negmerge.settings.study import load_study
from negmerge.standalone.text_table import aligned


def overview(name: str, config: str | Path = "config") -> dict:
    """Tell what a study needs from elsewhere and what of it is there; no file is opened."""
    study = load_study(config, name, options=False)
    settings, known = load_yaml(Path(config) / "config.yaml"), study.catalogue
    data, sources = Path(settings.get("data", "data")), settings.get("data_sources")
    weights = []
    for model in sorted({m for row in study.experiments.values() for m in row.weights(known)}):
        row, present = known.fetched(model), (data / "weights" / model).is_file()
        if row.is_fetched:
            hub = row.hub
            size = (hub.bytes or hub.about_bytes) if hub else None
            facts = {"repository": hub and hub.repository, "revision": hub and hub.revision}
            weights.append({"model": model} | facts | {"bytes": size, "present": present})
        elif file := row.download:
            present = (data / "downloads" / model / file.name).is_file()
            facts = {"repository": urlsplit(file.urls[0]).netloc if file.urls else "by hand"}
            facts |= {"revision": None, "bytes": file.size, "present": present}
            weights.append({"model": model} | facts)
    sets = [_set(dataset, known, data, sources) for dataset in study.datasets]
    return {"study": name, "sets": sets, "weights": weights}


def fetch(name: str) -> int:
    """Fetch what a study needs from elsewhere, as the target `downloads` does; give its status."""
    require_workflow()
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--config", f"study={name}"]
    return subprocess.run([*command, "--", "downloads"]).returncode


def _set(name: str, known: Catalogue, data: Path, sources: Mapping | None) -> dict:
    row, mirror = known.datasets[name], choose(name, known.datasets, data, sources)
    files = [f for f in (mirror or row).files.values() if isinstance(f, Download)]
    folder = data / "downloads" / (row.downloads_of or name)
    places = {file.name: folder / file.name for file in files}
    if mirror:
        source = mirror.name
    else:
        source = ORIGINAL if files else "files here" if row.files else "made here"
    prepared = data / name / row.prepared
    is_images = prepared.suffix == ".safetensors"
    there = [
        place.is_file() and file.bytes in (None, place.stat().st_size)
        for place, file in ((places[file.name], file) for file in files)
    ]
    return {
        "name": name,
        "title": row.title,
        "source": source,
        "addresses": [file.urls[0] for file in files if file.urls],
        "files": len(files),
        "present": sum(there),
        "bytes": sum(file.size or 0 for file in files),
        "unknown": [file.name for file in files if file.size is None],
        "by_hand": any(file.manual for file in files),
        "missing_by_hand": [f.name for f in files if f.manual and not places[f.name].is_file()],
        "prepared": prepared_from(prepared) is not None if is_images else prepared.is_file(),
        "licence": row.licence,
        "differs": mirror.differs if mirror else None,
    }


def describe(report: Mapping) -> Iterator[str]:
    """Print what a study needs: a row for each set and model, then what a person has to know."""
    yield f"{report['study']}: what it needs from elsewhere"
    yield ""
    yes_no = {True: "yes", False: "no"}
    rows = [["set", "source", "by hand", "GB", "files there", "prepared", "licence"]]
    for row in report["sets"]:
        present = f"{row['present']} of {row['files']}" if row["files"] else ""
        known = f"{row['bytes'] / 1e9:.3g}" if row["bytes"] else ""
        more = "?" if row["unknown"] and not known else "+ ?" if row["unknown"] else ""
        cells = [row["name"], row["source"], yes_no[row["by_hand"]], f"{known} {more}".strip()]
        rows.append([*cells, present, yes_no[row["prepared"]], row["licence"]])
    for row in report["weights"]:
        size = f"{row['bytes'] / 1e9:.3g}" if row["bytes"] else "?"
        present = f"{int(row['present'])} of 1"
        rows.append([row["model"], row["repository"] or "its package", "no", size, present, "", ""])
    yield from aligned(rows, left=len(rows[0]))
    yield ""
    total = sum(row["bytes"] or 0 for row in (*report["sets"], *report["weights"]))
    unknown = [f"{row['name']}/{file}" for row in report["sets"] for file in row["unknown"]]
    rest = f", and of unknown size: {', '.join(unknown)}" if unknown else ""
    yield f"In all {total / 1e9:.3g} GB{rest}"
    for row in report["sets"]:
        if row["missing_by_hand"]:
            yield f"by hand: {row['name']}: {', '.join(row['missing_by_hand'])}"
        if row["differs"]:
            yield f"mirror: {row['name']}: {row['differs']}"
