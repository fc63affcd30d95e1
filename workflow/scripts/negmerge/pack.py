"""Packing a study that has run into a zip file that somebody else goes on with.

Its files have the places that they have here, so `unzip` puts them into another copy of the
workflow. The zip is an RO-Crate of the profile https://w3id.org/ro/wfrun/workflow/0.5; how each
file was made is in the records of `provenance/`, which are packed as they are.
"""

import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from rocrate.model import ContextEntity
from rocrate.rocrate import ROCrate
from tqdm import tqdm

from negmerge import __version__
from negmerge.errors import UserError
from negmerge.files import replacing
from negmerge.jobs.listing import require_workflow
from negmerge.jobs.provenance import FOLDER as RECORDS
from negmerge.jobs.provenance import records_behind
from negmerge.jobs.verification import LEFT_OUT
from negmerge.settings.load import load_yaml
from negmerge.settings.study import load_study

CONFIG, CRATE = Path("config"), "ro-crate-metadata.json"
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
NO_LICENCE = "Not stated by who packed it."
# Older than any clone: `snakemake --touch` then takes all of it for out of date, and touches it.
TIME = (1980, 1, 1, 0, 0, 0)
DENSE = (".safetensors", ".png", ".pdf")  # which do not become smaller


def pack(
    name: str,
    output: Path,
    *,
    weights: bool = False,
    licence: str | None = None,
    progress: bool = False,
) -> dict:
    """Pack a study in the folder of the workflow; return how much was packed and left out."""
    if output.exists():
        raise UserError(f"{output}: exists already; delete it, or name another with -o")
    study = load_study(CONFIG, name, options=False)
    workflow = require_workflow()
    _require_finished(f"results/{name}/report.html")
    results, left_out = _results(Path("results", name), weights)
    data = Path(load_yaml(CONFIG / "config.yaml").get("data", "data"))
    times = [path for row in study.datasets for path in data.glob(f"benchmarks/*/{row}.tsv")]
    files = [workflow, *_settings(name), *times, *results]
    # What lies outside this folder has no place in another one.
    files = [path for path in files if not {"/", ".."} & set(path.parts)]
    texts = {
        f"results/{name}/{LEFT_OUT}": json.dumps(left_out, indent=1),
        CRATE: _describe(name, study.title, files, licence),
    }
    with replacing(output) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for path in tqdm(files, desc="pack", unit=" files", disable=not progress):
            info = zipfile.ZipInfo.from_file(path, strict_timestamps=False)
            info.date_time = TIME
            if path.suffix not in DENSE:
                info.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as stream, archive.open(info, "w") as copy:
                shutil.copyfileobj(stream, copy, 2**20)
        for place, text in texts.items():
            archive.writestr(zipfile.ZipInfo(place, TIME), text, zipfile.ZIP_DEFLATED)
    counts = {"files": len(files) + len(texts), "left_out": len(left_out)}
    return {"study": name, "output": str(output), "bytes": output.stat().st_size, **counts}


def _require_finished(report: str) -> None:
    """Ask Snakemake whether a report is there and nothing is to be done for it."""
    # Not the trigger of software, by which all that ran with `--use-conda` would be to do.
    triggers = ("--rerun-triggers", "code", "input", "mtime", "params")
    asked = ("-m", "snakemake", "--dry-run", "--cores", "1", *triggers, "--", report)
    run = subprocess.run([sys.executable, *asked], capture_output=True, text=True)
    lines = (run.stdout + run.stderr).splitlines()
    if run.returncode:
        errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
        raise UserError(errors[0] if errors else f"{report}: Snakemake says: {lines[-1:]}")
    if not any(line.startswith("Nothing to be done") for line in lines):
        raise UserError(f"{report}: jobs are still to do for it; run the study, then pack it")


def _results(folder: Path, weights: bool) -> tuple[list[Path], dict[str, str]]:
    """Return the files to pack, and by name the SHA-256 of those that stay here.

    Of tensors only what tables and figures read is packed, unless all weights are asked for.
    """
    made, shown = {}, set()
    records = records_behind(folder)
    for record in records.values():
        made |= {name: facts["sha256"] for name, facts in record["outputs"].items()}
        if {"tables", "figures"} & {Path(name).parent.name for name in record["outputs"]}:
            shown |= set(record["inputs"])
    files = sorted(records)
    for path in sorted(folder.rglob("*")):
        is_weight = path.suffix == ".safetensors" and str(path) not in shown
        top, is_hidden = path.relative_to(folder).parts[0], path.name.startswith(".")
        if path.is_file() and not is_hidden and top not in (RECORDS, "logs"):
            files += [path] if weights or not is_weight else []
    packed = set(map(str, files))
    return files, {name: sha256 for name, sha256 in made.items() if name not in packed}


def _settings(name: str | None) -> Iterator[Path]:
    """Yield the study, those that it extends, and the rows and numbers that they may name."""
    while name and (path := CONFIG / "studies" / f"{name}.yaml").is_file():
        yield path
        name = load_yaml(path).get("extends")
    rows = [*CONFIG.glob("*.yaml"), *CONFIG.glob("published/*.csv")]
    yield from (path for path in sorted(rows) if path.name != "config.yaml")


def _describe(study: str, title: str, files: Sequence[Path], licence: str | None) -> str:
    """Describe a run as an RO-Crate, in JSON-LD; the workflow is the first of the files."""
    crate = ROCrate(version="1.1")
    crate.name, crate.description = f"Study {study}", title
    crate.license = licence or NO_LICENCE
    crate.root_dataset["conformsTo"] = [
        crate.add(ContextEntity(crate, uri, {"@type": "CreativeWork", "name": profile}))
        for uri, profile in PROFILES.items()
    ]
    workflow = crate.add_workflow(None, str(files[0]), main=True, lang="snakemake")
    workflow["version"] = _commit()
    entities = {}
    for path in files[1:]:
        facts = {"name": str(path), "contentSize": str(path.stat().st_size)}
        entities[path] = crate.add_file(dest_path=str(path), properties=facts)
    shown = [Path("results", study, place) for place in ("tables", "figures")]
    run = crate.add(ContextEntity(crate, "#run", {"@type": "CreateAction"}))
    run["name"], run["instrument"] = f"Run of study {study}", workflow
    run["object"] = [file for path, file in entities.items() if path.is_relative_to(CONFIG)]
    run["result"] = [file for path, file in entities.items() if path.parent in shown]
    crate.root_dataset["mentions"] = run
    return json.dumps(crate.metadata.generate(), indent=1)


def _commit() -> str:
    """Return the commit of this folder, with a word where files were changed; else the version."""
    git = shutil.which("git")
    if git is None:
        return __version__
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return commit or __version__
