"""The jobs of a study, from a note of them where neither settings nor code have changed since."""

import hashlib
import json
import sys
from contextlib import suppress
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import write_json
from negmerge.jobs.dependencies import library_digest
from negmerge.planning.jobs import Job, list_rows, read_jobs
from negmerge.plugins import PACKAGE

NOTES = Path(".snakemake", "negmerge")
# What the jobs follow from, beside the library.
SOURCES = ("Snakefile", "workflow/Snakefile", "rules/*.smk", "config/**/*.yaml")


def known_jobs(name: str, files: list[str]) -> list[Job]:
    """List the jobs behind files of a study, as `jobs.list_jobs` does, but `to_do` may be old.

    Snakemake needs seconds to list thousands of jobs, so the list is noted in its folder.

    Args:
        name: of the study.
        files: the files.

    Raises:
        UserError: as `jobs.list_jobs`.
    """
    note, digest = NOTES / f"{name}.json", _digest(files)
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads(note.read_text())
        if noted["digest"] == digest:
            return read_jobs(noted["jobs"])
    if sys.stderr.isatty():
        print("Snakemake lists the jobs, this once; thousands take a minute", file=sys.stderr)
    rows = list_rows(files)
    # A copy on a disk that cannot be written to is asked for each time.
    with suppress(UserError):
        write_json(note, {"digest": digest, "jobs": rows})
    return read_jobs(rows)


def _digest(files: list[str]) -> str:
    """Return a checksum of what the jobs follow from."""
    found = hashlib.sha256(json.dumps([library_digest(PACKAGE), files]).encode())
    for pattern in SOURCES:
        for path in sorted(Path().glob(pattern)):
            found.update(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()
