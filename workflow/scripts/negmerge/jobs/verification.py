"""Checking a study: is each file the one in its record, and made from what is there?"""

import os
import shlex
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm import tqdm

from negmerge.errors import UserError
from negmerge.files import read_json, read_json_records, sha256
from negmerge.jobs.provenance import FOLDER, Record, place_of_record, read_record

# In the folder of a study that was unpacked: the files that its archive lacks -> their SHA-256.
LEFT_OUT = ".left-out.json"
# Folders of a study whose files no script makes, but Snakemake, or that say how a job went.
UNRECORDED = (FOLDER, "benchmarks", "logs")


class Misfit(Exception):
    """A file that does not fit.

    Args:
        file: its name.
        problem: what is wrong with it.
        remake: the file to make anew; that file if none is given.
    """

    def __init__(self, file: str, problem: str, remake: str = ""):
        self.file, self.problem, self.remake = file, problem, remake or file


def verify(folder: str | Path, *, progress: bool = False) -> dict:
    """Check all files of a study that have a record, and the data that they were made from.

    Files are checked before those that were made from them, so the first that does not fit is the
    one at the root of others.

    Args:
        folder: the study's, such as `results/demo`.
        progress: show a bar on standard error.

    Returns:
        `study`, the folder; `fits`; `files` and `bytes` that were read; `dropped`, how many files
        are gone since no job needs them any more, or were left out of an archive; and `finding`,
        None or the first thing that does not fit: `file`, `problem` and `command`, what to do in
        the folder in which Snakemake runs.

    Raises:
        UserError: there is no such folder, or it has no records.
    """
    folder = Path(folder)
    places = sorted((folder / FOLDER).rglob("*.json"))
    if not places:
        raise UserError(f"{folder}: no records in {folder / FOLDER}, so there is nothing to verify")
    chain = Chain(folder, places)
    misfit = None
    try:
        records = chain.ordered(places)
        sizes = (chain.path(record.name) for record in records)
        total = sum(path.stat().st_size for path in sizes if path.is_file())
        bar = tqdm(total=total, desc="verify", unit="B", unit_scale=True, disable=not progress)
        with bar:
            for record in records:
                chain.check(record)
                bar.update(record.bytes)
        chain.require_records()
    except Misfit as error:
        command = chain.command(error.remake)
        misfit = {"file": error.file, "problem": error.problem, "command": command}
    return {
        "study": str(folder),
        "fits": misfit is None,
        "files": len(chain.hashes),
        "bytes": sum(path.stat().st_size for path in chain.hashes),
        "dropped": chain.dropped,
        "finding": misfit,
    }


def describe(report: dict) -> Iterator[str]:
    """Describe in lines for people what `verify` has found."""
    if report["fits"]:
        size, dropped = f"{report['bytes'] / 1e6:,.1f} MB", report["dropped"]
        yield f"{report['study']}: all fits, {report['files']} files, {size}"
        if dropped:
            yield f"files that are gone, needed by no job or left out of an archive: {dropped}"
    else:
        finding = report["finding"]
        yield f"{finding['file']}: {finding['problem']}"
        yield f"to go on: {finding['command']}"


class Chain:
    """Files and their records, by the names that jobs gave them.

    Args:
        folder: the study's.
        places: its records.
    """

    def __init__(self, folder: Path, places: Iterable[Path]):
        self.hashes: dict[Path, str] = {}
        self.dropped = 0
        self._drops = False
        self._folder = folder
        self._records: dict[str, Record] = {}
        self._root = _root(places)
        known = folder / LEFT_OUT
        self._left_out = read_json(known) if known.is_file() else {}

    def path(self, name: str) -> Path:
        """Return the place of a file, or of a record, by its name in records."""
        return self._root / name

    def ordered(self, places: Iterable[Path]) -> list[Record]:
        """Read records, and those of what the files were made from; sort makers first."""
        found: list[Record] = []
        seen: set[str] = set()
        # A name is visited twice: to look at what comes before it, and to take it.
        waiting = [(self._read(place), False) for place in reversed(list(places))]
        while waiting:
            record, taken = waiting.pop()
            if taken:
                found.append(record)
            elif record.name not in seen:
                seen.add(record.name)
                waiting.append((record, True))
                makers = (facts["record"] for facts in record.inputs.values() if facts["record"])
                waiting += [(self._read(self.path(maker)), False) for maker in makers]
        self._records = {record.name: record for record in found}
        self._drops = any(record.checkpoints == "needed" for record in found)
        return found

    def check(self, record: Record) -> None:
        """Check a file against its record, and its inputs against theirs."""
        for name, facts in record.inputs.items():
            self._check_input(record, name, facts["sha256"])
        path = self.path(record.name)
        is_gone = self._drops and record.intermediate
        if (is_gone or self._left_out.get(record.name) == record.sha256) and not path.exists():
            self.dropped += 1
            return
        if not path.is_file():
            place = self._name(record.path)
            raise Misfit(record.name, f"it is missing, but has a record, {place}")
        if path.stat().st_size != record.bytes:
            size = path.stat().st_size
            raise Misfit(record.name, f"{size} bytes, its record says {record.bytes}")
        if self._hash(path) != record.sha256:
            found = self._hash(path)
            raise Misfit(record.name, f"sha256 {found}, its record says {record.sha256}")
        if path.parent.name == "scores":
            self._check_score(record)

    def require_records(self) -> None:
        """Check that each file of the study has a record."""
        for path in sorted(self._folder.rglob("*")):
            place = path.relative_to(self._folder)
            hidden = any(part.startswith(".") for part in place.parts)
            if hidden or place.parts[0] in UNRECORDED or not path.is_file():
                continue
            record = place_of_record(self._folder, path)
            if not record.is_file():
                raise _no_record(self._name(path), self._name(record))

    def command(self, name: str) -> str:
        """Return the command that makes a file anew, and then what is made from it."""
        if "downloads" in Path(name).parts:
            return f"rm -f {shlex.quote(name)} && snakemake --cores all -- {shlex.quote(name)}"
        report = self._folder / "report.html"
        targets = [name, self._name(report)] if report.is_file() else [name]
        targets = list(dict.fromkeys(targets))
        return shlex.join(["snakemake", "--cores", "all", "--forcerun", name, "--", *targets])

    def _read(self, place: Path) -> Record:
        name = self._name(_recorded_file(place))
        if not place.is_file():
            raise _no_record(name, self._name(place))
        try:
            return read_record(place)
        except UserError as error:
            raise Misfit(name, f"its record cannot be read: {error}") from error

    def _name(self, path: Path) -> str:
        """Return the name that a file has in records."""
        path = _absolute(path)
        return str(path.relative_to(self._root) if path.is_relative_to(self._root) else path)

    def _check_input(self, record: Record, name: str, expected: str | None) -> None:
        """Check that an input is still the file that another was made from."""
        if expected is None:  # a folder
            return
        made = self._records.get(name)
        if made is None and not self.path(name).is_file():
            problem = f"it is missing, but {record.name} was made from it; put it back"
            raise Misfit(name, problem, remake=record.name)
        found = made.sha256 if made else self._hash(self.path(name))
        if found != expected:
            raise Misfit(
                record.name, f"made from another {name} than is there now, sha256 {expected}"
            )

    def _check_score(self, record: Record) -> None:
        """Check that scores say themselves what they were made from."""
        used = {facts["sha256"] for facts in record.inputs.values()}
        for score in read_json_records(self.path(record.name)):
            parts = score.get("made_from", {}).values()
            if {
                one for part in parts for one in ([part] if isinstance(part, str) else part)
            } != used:
                raise Misfit(record.name, "its made_from is not what its record says")

    def _hash(self, path: Path) -> str:
        if path not in self.hashes:
            self.hashes[path] = sha256(path)
        return self.hashes[path]


def _root(places: Iterable[Path]) -> Path:
    """Return the folder that names in records are relative to; the results may have moved since.

    Raises:
        UserError: no record can be read.
    """
    problem = None
    for place in places:
        try:
            depth = len(Path(read_record(place).name).parts)
        except UserError as error:
            problem = problem or error
            continue
        above = _recorded_file(place).parents
        return above[min(depth, len(above)) - 1]
    raise UserError(str(problem))


def _recorded_file(place: Path) -> Path:
    """Return the file that a record is of, by the record's place."""
    parts = list(_absolute(place).parts)
    del parts[len(parts) - 1 - parts[::-1].index(FOLDER)]
    return Path(*parts).with_suffix("")


def _absolute(path: Path) -> Path:
    """Return an absolute path without `..`; a link to another disk stays as it is."""
    return Path(os.path.abspath(path))


def _no_record(name: str, record: str) -> Misfit:
    problem = f"its record is missing, {record}; if no rule makes this file, delete it"
    return Misfit(name, problem)
