"""Packing a study: its numbers, what they were made with, and how, in one archive."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

from tqdm import tqdm

from negmerge import __version__
from negmerge.data.mirrors import choose
from negmerge.errors import UserError
from negmerge.handover.contents import Contents, Item
from negmerge.handover.crate import describe_run
from negmerge.handover.layout import (
    ABOUT,
    CONFIG,
    CRATE,
    DATA,
    FORMAT,
    RESULTS,
    About,
    Packed,
    renamed,
)
from negmerge.handover.writing import Open, writing
from negmerge.jobs.dependencies import library_digest
from negmerge.jobs.listing import list_jobs, require_workflow
from negmerge.jobs.plan import REPORT, targets
from negmerge.jobs.provenance import FOLDER as RECORDS
from negmerge.jobs.snakemake_records import is_locked, made_now, read_kept
from negmerge.jobs.verification import Misfit
from negmerge.plugins import PACKAGE
from negmerge.settings.datasets import ORIGINAL
from negmerge.settings.study import Study, load_study
from negmerge.settings.yaml12 import load_yaml

BLOCK = 2**20


def pack(
    name: str,
    output: Path,
    *,
    weights: bool = False,
    images: bool = False,
    licence: str | None = None,
    progress: bool = False,
) -> dict:
    """Pack a study that has run to its report, in the folder of the workflow.

    Args:
        name: the study's name.
        output: the archive: a zip file, or a folder if its name does not end with `.zip`.
        weights: pack all weights too, not only their checksums.
        images: pack the prepared images too.
        licence: the terms of use of what is packed; None: not stated.
        progress: show a bar on standard error.

    Returns:
        `study`, `output`; `files` and `bytes` that were packed; `archive_bytes`, what they take;
        `left_out`, how many files only their checksums stand for.

    Raises:
        UserError: the study has not run to its end, is running, or a file is not as it was made.
    """
    require_workflow()
    study = load_study(CONFIG, name, options=False)
    settings = load_yaml(Path(CONFIG, "config.yaml"))
    _require_finished(study, name)
    data = settings.get("data", DATA)
    try:
        items = list(Contents(study, name, data, weights, images).items())
    except Misfit as error:
        raise UserError(f"{error.file}: {error.problem}; see `negmerge verify`") from error
    packed, left_out = [], [item for item in items if not item.is_packed]
    sizes = (item.path.stat().st_size for item in items if item.is_packed)
    with (
        writing(output) as write,
        tqdm(total=sum(sizes), desc="pack", unit="B", unit_scale=True, disable=not progress) as bar,
    ):
        for item in items:
            if item.is_packed:
                packed.append(_pack(item, data, write, bar))
        about = About(
            format=FORMAT,
            study=name,
            version=__version__,
            commit=_commit(),
            code=library_digest(PACKAGE),
            sources=_sources(study, data, settings),
            left_out={item.place: item.made.sha256 for item in left_out},
            snakemake=_snakemake(items, data),
        )
        packed.append(_write(ABOUT, about.model_dump_json(indent=1).encode(), write))
        crate = describe_run(study.title, about, packed, items, licence)
        _write(CRATE, crate.encode(), write)
    return {
        "study": name,
        "output": str(output),
        "files": len(packed),
        "bytes": sum(one.bytes for one in packed),
        "archive_bytes": sum(
            path.stat().st_size for path in (output, *output.rglob("*")) if path.is_file()
        ),
        "left_out": len(left_out),
    }


def _require_finished(study: Study, name: str) -> None:
    """Check that a study has run to its report, and that nothing is at work on it."""
    folder = f"{RESULTS}/{name}"
    if not Path(folder).is_dir():
        raise UserError(f"{folder}: no such folder: nothing of the study has run here")
    if is_locked(folder) or any(file.startswith(f"{folder}/") for file in made_now()):
        raise UserError(
            f"{folder}: a run is at work on it; wait for its end, or, if it was killed, run "
            "`snakemake --unlock`, and the study again"
        )
    jobs = list_jobs(targets(study, name, REPORT))
    to_do = [job for job in jobs if job.to_do]
    if to_do:
        raise UserError(
            f"{folder}: {len(to_do)} of {len(jobs)} jobs are still to do, the first makes "
            f"{to_do[0].outputs[0]}; run the study to its report, then pack it"
        )


def _pack(item: Item, data: str, write: Open, bar: tqdm) -> Packed:
    """Copy a file into the archive, and compare it with its record on the way."""
    if RECORDS in Path(item.place).parts and data != DATA:
        text = renamed(item.path.read_text(), data, DATA)
        return _write(item.place, text.encode(), write)
    found, size = hashlib.sha256(), item.path.stat().st_size
    with item.path.open("rb") as stream, write(item.place, size) as copy:
        while block := stream.read(BLOCK):
            copy.write(block)
            found.update(block)
            bar.update(len(block))
    if item.made and found.hexdigest() != item.made.sha256:
        raise UserError(
            f"{item.path}: sha256 {found.hexdigest()}, its record says {item.made.sha256}; "
            f"see `negmerge verify`"
        )
    return Packed(item.place, size, found.hexdigest())


def _write(place: str, content: bytes, write: Open) -> Packed:
    with write(place, len(content)) as copy:
        copy.write(content)
    return Packed(place, len(content), hashlib.sha256(content).hexdigest())


def _snakemake(items: list[Item], data: str) -> dict[str, dict]:
    """Return what Snakemake knows of the packed files of the study.

    What it knows of data would let it make them, and so all, anew where their sources are missing.
    """
    names = [item.made.name for item in items if item.made and item.is_packed]
    known = read_kept(name for name in names if name.startswith(f"{RESULTS}/"))
    return json.loads(renamed(json.dumps(known), data, DATA))


def _commit() -> str | None:
    """Return the commit of the workflow, if it lies in a clone in which nothing was changed."""
    git = shutil.which("git")
    if git is None:
        return None
    # The way up to the top of the clone is empty here, if this is the top.
    ask = ("rev-parse --show-cdup HEAD", "status --porcelain --untracked-files=no")
    top, changes = (
        subprocess.run([git, *one.split()], capture_output=True, text=True) for one in ask
    )
    found = re.fullmatch(r"\n([0-9a-f]{40,64})\n", top.stdout)
    return found[1] if found and changes.returncode == 0 and not changes.stdout else None


def _sources(study: Study, data: str, settings: dict) -> dict[str, str]:
    """Return from what the images of data sets were made that have mirrors."""
    known = study.catalogue
    sets = [name for name in study.datasets if known.datasets[name].mirrors]
    mirrors = {name: choose(name, known, data, settings.get("data_sources")) for name in sets}
    return {name: mirror.name if mirror else ORIGINAL for name, mirror in mirrors.items()}
