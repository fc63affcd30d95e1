"""Unpacking a study in another copy of the workflow: all of it, or nothing."""

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from negmerge import __version__
from negmerge.data.mirrors import choose
from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, replacing, require_writable, sha256, unwritable, write_json
from negmerge.handover.layout import CONFIG, DATA, RESULTS, About, renamed
from negmerge.handover.reading import Archive
from negmerge.jobs.dependencies import library_digest
from negmerge.jobs.listing import require_workflow
from negmerge.jobs.provenance import FOLDER as RECORDS
from negmerge.jobs.snakemake_records import FOLDER, METADATA, place_of
from negmerge.jobs.verification import LEFT_OUT
from negmerge.plugins import PACKAGE
from negmerge.settings.datasets import ORIGINAL
from negmerge.settings.study import load_study
from negmerge.settings.yaml12 import load_yaml

IMAGES = "images.safetensors"


def unpack(
    archive: Path,
    *,
    other_code: bool = False,
    replace: bool = False,
    progress: bool = False,
) -> dict:
    """Unpack a study in the folder of the workflow.

    All files get the time of unpacking: they are newer than what the workflow ships, and none is
    newer than another, so Snakemake finds nothing to make anew.

    Args:
        archive: what `pack` wrote.
        other_code: accept an archive of another version of the workflow.
        replace: put the archive's configuration in the place of files that differ, which are kept
            under their names with `.before`.
        progress: show a bar on standard error.

    Returns:
        `study`; `files` and `bytes`; `left_out`, how many files are only known by their checksum;
        `weights` and `images`, whether some of these are; `replaced`, files of the configuration.

    Raises:
        UserError: the archive is damaged, cut, or another's; the study is there already; or the
            workflow here is not the one it was made with. Nothing is left of it then.
    """
    require_workflow()
    opened = Archive(archive)
    about = opened.about
    target = Path(RESULTS, about.study)
    if target.exists():
        raise UserError(f"{target}: is there already; move it away, then unpack")
    _require_code(archive, about, other_code)
    data = load_yaml(Path(CONFIG, "config.yaml")).get("data", DATA)
    require_writable([RESULTS, CONFIG, METADATA, data])
    left_out = json.loads(renamed(json.dumps(about.left_out), DATA, data))
    staged = Path(RESULTS, f".{about.study}.unpacking")
    shutil.rmtree(staged, ignore_errors=True)
    try:
        opened.unpack(staged, progress)
        replaced = _put(staged, about, left_out, data, replace)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(error.filename or target, error.errno) from error
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    absent = [Path(place) for place in left_out]
    return {
        "study": about.study,
        "files": len(opened.files),
        "bytes": sum(one.bytes for one in opened.files.values()),
        "left_out": len(absent),
        "weights": any(place.parts[0] == RESULTS for place in absent),
        "images": [str(place) for place in absent if place.name == IMAGES],
        "replaced": replaced,
    }


def _require_code(archive: Path, about: About, other_code: bool) -> None:
    """Check that the study was made with the library that is here."""
    if about.code != library_digest(PACKAGE) and not other_code:
        of = f"{about.version}, commit {about.commit or 'not known'}"
        raise UserError(
            f"{archive}: packed with another version of the workflow ({of}) than this one "
            f"({__version__}); check that one out, or unpack with --other-code: what its code "
            "makes otherwise is then made anew"
        )


def _put(
    staged: Path, about: About, left_out: dict[str, str], data: str, replace: bool
) -> list[str]:
    """Move unpacked files to their places; after an error all is as before."""
    _rename_data(staged, about, data)
    with ExitStack() as undo:
        replaced = list(_put_settings(staged, replace, undo))
        _require_sources(about, data)
        _put_data(staged, data, undo)
        _put_snakemake(about, data, undo)
        made = staged / RESULTS / about.study
        write_json(made / LEFT_OUT, left_out)
        _touch(made.rglob("*"))
        made.rename(Path(RESULTS, about.study))
        undo.pop_all()
    return replaced


def _rename_data(staged: Path, about: About, data: str) -> None:
    """Let records call the folder of data as the configuration here does."""
    if data != DATA:
        for top in (staged / RESULTS / about.study, staged / DATA):
            for path in (top / RECORDS).rglob("*.json"):
                path.write_text(renamed(path.read_text(), DATA, data))


def _put_settings(staged: Path, replace: bool, undo: ExitStack) -> Iterator[str]:
    """Move the configuration; yield the files that stood in the way and were set aside."""
    for path in _files(staged / CONFIG):
        target = path.relative_to(staged)
        if target.is_file():
            if sha256(target) == sha256(path):
                continue
            if not replace:
                raise UserError(
                    f"{target}: not the one that the study was made with; `--replace` takes that "
                    f"one, and keeps yours as {target.name}.before"
                )
            kept = target.with_name(f"{target.name}.before")
            if kept.exists():
                raise UserError(f"{kept}: is there already; move it away")
            target.rename(kept)
            undo.callback(kept.rename, target)
            yield str(target)
        _move(path, target, undo)


def _require_sources(about: About, data: str) -> None:
    """Check that tables would say of their images what they say in the archive."""
    study = load_study(CONFIG, about.study, options=False)
    asked = load_yaml(Path(CONFIG, "config.yaml")).get("data_sources")
    for name, source in about.sources.items():
        mirror = choose(name, study.catalogue, data, asked)
        if (mirror.name if mirror else ORIGINAL) != source:
            raise UserError(
                f"{CONFIG}/config.yaml: the images of {name} were made from source {source!r}; "
                f"write `data_sources: {{{name}: {source}}}`, or what you have there with it"
            )


def _put_data(staged: Path, data: str, undo: ExitStack) -> None:
    """Move what belongs to data sets; what is there already stays."""
    for path in _files(staged / DATA):
        target = Path(data, path.relative_to(staged / DATA))
        if not target.exists():
            _move(path, target, undo)
        elif target.name == IMAGES and sha256(target) != sha256(path):
            raise UserError(f"{target}: other images than those of the study; move them away")


def _put_snakemake(about: About, data: str, undo: ExitStack) -> None:
    """Tell Snakemake how the files were made, as far as it knew."""
    # Without this folder, it takes its records for those of an old version.
    Path(FOLDER, "incomplete").mkdir(parents=True, exist_ok=True)
    for output, record in about.snakemake.items():
        target = place_of(output)
        undo.callback(target.unlink, missing_ok=True)
        known = json.loads(renamed(json.dumps(record), DATA, data))
        if known.get("input"):  # which Snakemake compares in this order
            known["input"].sort()
        with replacing(target) as unfinished:
            unfinished.write_text(json.dumps(known))


def _move(path: Path, target: Path, undo: ExitStack) -> None:
    """Copy a file to its place, perhaps on another disk; it goes again after an error."""
    undo.callback(target.unlink, missing_ok=True)
    with replacing(target) as unfinished:
        shutil.copyfile(path, unfinished)
    _touch([target])


def _touch(paths) -> None:
    now = time.time_ns()
    for path in paths:
        os.utime(path, ns=(now, now))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
