"""Records of how files were made: from what, with which settings and versions, when.

The record of `FOLDER/place` is `FOLDER/provenance/place.json`, where FOLDER is that of a study's
results, or that of the data. Results are the same bytes in each run; what differs between runs,
such as a time, stands in records only.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from negmerge.errors import UserError
from negmerge.files import read_json, sha256, write_json
from negmerge.jobs.versions import machine, versions

FOLDER = "provenance"


@dataclass(frozen=True)
class Record:
    """What a record says of one file.

    Attributes:
        path: where the record lies.
        name: the file as the job named it: relative to the folder in which Snakemake ran.
        rule: the rule that made the file.
        bytes: the file's size.
        sha256: its hash.
        modified: the time stamp with which it was last found to be right, in nanoseconds.
        checkpoints: the workflow's setting; with `needed`, what is `intermediate` goes when no job
            needs it any more.
        intermediate: whether the rule calls the file so.
        inputs: what it was made from: by name `sha256`, None for a folder, and `record`, the place
            of the record that the input had, None if it had none.
    """

    path: Path
    name: str
    rule: str
    bytes: int
    sha256: str
    modified: int
    checkpoints: str
    intermediate: bool
    inputs: dict[str, dict[str, str | None]]


def place_of_record(folder: Path, path: Path) -> Path:
    """Return the place of the record of a file in `folder`, the study's or that of the data."""
    place = path.relative_to(folder)
    return folder / FOLDER / place.with_name(f"{place.name}.json")


def find_record(path: Path) -> Path | None:
    """Find the record of a file, or None if none of the folders above it has one."""
    records = (place_of_record(folder, path) for folder in path.parents)
    return next((record for record in records if record.is_file()), None)


def read_record(path: Path) -> Record:
    """Read what a record says of the file that it is the record of.

    Raises:
        UserError: the record cannot be read.
    """
    content = read_json(path)
    try:
        # All outputs of a job have the same record, each at its own place.
        place = path.with_suffix("").parts
        place = place[len(place) - place[::-1].index(FOLDER) :]
        ((name, made),) = (
            (name, made)
            for name, made in content["outputs"].items()
            if Path(name).parts[-len(place) :] == place
        )
        inputs = {
            str(used): {"sha256": facts["sha256"], "record": facts["record"]}
            for used, facts in content["inputs"].items()
        }
        return Record(
            path=path,
            name=name,
            rule=str(content["rule"]),
            bytes=int(made["bytes"]),
            sha256=str(made["sha256"]),
            modified=int(made["modified"]),
            checkpoints=str(content["checkpoints"]),
            intermediate=bool(made["intermediate"]),
            inputs=inputs,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: not a record ({error!r}); delete it") from error


class Provenance:
    """What a job is made of and what it makes, for its record.

    Args:
        snakemake: the object that Snakemake gives to scripts.
    """

    def __init__(self, snakemake: Any):
        self._job = snakemake
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._hashes: dict[str, str] = {}
        self._records: dict[str, str] = {}
        self._folder = _common_folder(Path(snakemake.log[0]), Path(snakemake.output[0]))

    def begin(self) -> None:
        """Remove the records of an earlier run, and check that the inputs fit theirs.

        Images of a data set are read by hundreds of jobs; to hash them each time would take longer
        than some of the jobs do. A file that has the size and the time of its record is taken for
        the one that was recorded; `negmerge verify` hashes every file. Snakemake sets the time
        anew when a job has ended, so the first job that reads a file writes the new one down.

        Raises:
            UserError: an input is not the file that the job of another rule has made.
        """
        for path in self._job.output:
            place_of_record(self._folder, Path(path)).unlink(missing_ok=True)
        for path in dict.fromkeys(self._job.input):
            place = find_record(Path(path))
            if place is None:
                continue
            record = read_record(place)
            self._records[path] = str(place)
            self._hashes[path] = record.sha256
            facts = os.stat(path)
            if facts.st_size != record.bytes:
                raise _foreign(path, record, f"{facts.st_size} bytes", f"{record.bytes} bytes")
            if facts.st_mtime_ns != record.modified:
                found = sha256(path)
                if found != record.sha256:
                    raise _foreign(path, record, f"sha256 {found}", record.sha256)
                _note_time(record, facts.st_mtime_ns)

    def made_from(self) -> dict[str, str | list[str]]:
        """Return the SHA-256 of the job's inputs by their names in the rule: one, or a list."""
        return {
            name: self._hash(files) if isinstance(files, str) else list(map(self._hash, files))
            for name, files in self._job.input.items()
        }

    def write(self) -> None:
        """Write the record of each output, when all are complete."""
        seconds = time.monotonic() - self._clock
        params = dict(self._job.params.items())
        record = {
            "rule": self._job.rule,
            "wildcards": dict(self._job.wildcards.items()),
            "inputs": {
                path: {"sha256": self._hash(path), "record": self._records.get(path)}
                for path in dict.fromkeys(self._job.input)
            },
            "outputs": {
                path: _facts(path) | {"intermediate": self._is_intermediate(path)}
                for path in self._job.output
            },
            "checkpoints": self._job.config.get("checkpoints", "all"),
            "params": params,
            "seed": params.get("seed"),
            "versions": versions(),
            "machine": machine(device_name(self._job)) | {"threads": self._job.threads},
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 3),
        }
        for path in self._job.output:
            write_json(place_of_record(self._folder, Path(path)), record)

    def _is_intermediate(self, path: str) -> bool:
        """Whether the rule calls an output so; in a module, a prefix stands before it."""
        marked = self._job.config.get("intermediate", [])
        return any(fnmatchcase(path, f"*{place}") for place in marked)

    def _hash(self, path: str) -> str | None:
        """Hash an input once; a folder, which a source of data may read, has no hash."""
        if path not in self._hashes:
            if Path(path).is_dir():
                return None
            self._hashes[path] = sha256(path)
        return self._hashes[path]


def device_name(snakemake: Any) -> str:
    """Name the device of a job: a GPU where its rule asks for one.

    Args:
        snakemake: the object that Snakemake gives to scripts.
    """
    return "cuda" if snakemake.resources.get("gpu") else "cpu"


def _common_folder(log: Path, output: Path) -> Path:
    """Return the study's folder, or that of the data, in which logs and records have folders."""
    folders = (parent.parent for parent in log.parents if parent.name == "logs")
    return next(folder for folder in folders if output.is_relative_to(folder))


def _foreign(path: str, record: Record, found: str, expected: str) -> UserError:
    return UserError(
        f"{path}: not the file that {record.rule} made: found {found}, expected {expected}; delete "
        f"it and run again, or delete {record.path} if the file is right"
    )


def _note_time(record: Record, modified: int) -> None:
    """Write a new time stamp of an unchanged file into its record, if that can be written."""
    content = read_json(record.path)
    content["outputs"][record.name]["modified"] = modified
    with suppress(UserError):
        write_json(record.path, content)


def _facts(path: str) -> dict[str, int | str]:
    facts = os.stat(path)
    return {"bytes": facts.st_size, "modified": facts.st_mtime_ns, "sha256": sha256(path)}
