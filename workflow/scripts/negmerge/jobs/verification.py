"""Checking a study: is each file the one in its record, and made from what is there?"""

import os
import shlex
from graphlib import TopologicalSorter
from pathlib import Path

from tqdm import tqdm

from negmerge.errors import UserError
from negmerge.files import read_json, sha256
from negmerge.jobs.provenance import FOLDER, read_record, records_behind

# In the folder of a study that was unpacked: the files that its archive lacks -> their SHA-256.
LEFT_OUT = ".left-out.json"
# Folders of a study whose files no script makes, but Snakemake, or that say how a job went.
UNRECORDED = (FOLDER, "benchmarks", "logs")


class Misfit(Exception):
    """A file that does not fit, what is wrong with it, and the file to make anew."""

    def __init__(self, file: str, problem: str, remake: str = ""):
        self.file, self.problem, self.remake = file, problem, remake or file


def verify(folder: str | Path, *, progress: bool = False) -> dict:
    """Check all files of a study, and the data behind them, against their records.

    `dropped` counts those that may be gone; `finding` is the first misfit in the order of making.
    """
    chain, finding = Chain(Path(folder)), None
    try:
        for name in tqdm(chain.ordered(), desc="verify", unit=" files", disable=not progress):
            chain.check(name)
        chain.require_records()
    except Misfit as error:
        command = chain.command(error.remake)
        finding = {"file": error.file, "problem": error.problem, "command": command}
    return {
        "study": str(folder),
        "fits": finding is None,
        "files": len(chain.hashes),
        "bytes": sum(path.stat().st_size for path in chain.hashes),
        "dropped": chain.dropped,
        "finding": finding,
    }


class Chain:
    """The files of a study and what they were made from, by the names that jobs gave them."""

    def __init__(self, folder: Path):
        # Not resolved: a link to another disk stays as it is.
        self._folder = Path(os.path.abspath(folder))
        places = sorted(filter(Path.is_file, (self._folder / FOLDER).rglob("*.json")))
        if not places:
            raise UserError(
                f"{folder}: no records in {folder / FOLDER}, so there is nothing to verify"
            )
        self._root = _root(self._folder, next(iter(read_record(places[0])["outputs"])))
        self._records: dict[str, dict] = {}
        for record in records_behind(self._folder, self._root).values():
            self._records |= dict.fromkeys(record["outputs"], record)
        self._drops = any(record["checkpoints"] == "needed" for record in self._records.values())
        left_out = self._folder / LEFT_OUT
        self._left_out = read_json(left_out) if left_out.is_file() else {}
        self.hashes: dict[Path, str] = {}
        self.dropped = 0

    def ordered(self) -> list[str]:
        """Sort the files that have a record so that each comes after what it was made from."""
        inputs = {name: record["inputs"] for name, record in self._records.items()}
        order = TopologicalSorter(inputs)
        return [name for name in order.static_order() if name in inputs]

    def check(self, name: str) -> None:
        """Check a file against its record, and its inputs against theirs."""
        record, path = self._records[name], self._root / name
        for source, facts in record["inputs"].items():
            expected = facts["sha256"]
            # A folder has none.
            if expected is not None and self._recorded(source, name) != expected:
                raise Misfit(
                    name, f"made from another {source} than is there now, sha256 {expected}"
                )
        recorded = record["outputs"][name]
        if not path.is_file():
            is_gone = self._drops and recorded["intermediate"]
            if not is_gone and self._left_out.get(name) != recorded["sha256"]:
                raise Misfit(name, f"it is missing, but {record['rule']} made it")
            self.dropped += 1
        elif self._hash(path) != recorded["sha256"]:
            raise Misfit(name, f"sha256 {self._hash(path)}, its record says {recorded['sha256']}")

    def require_records(self) -> None:
        """Check that each file of the study has a record."""
        for path in sorted(self._folder.rglob("*")):
            name, place = str(path.relative_to(self._root)), path.relative_to(self._folder)
            is_hidden = any(part.startswith(".") for part in place.parts)
            if name in self._records or is_hidden or place.parts[0] in UNRECORDED:
                continue
            if path.is_file():
                raise Misfit(name, "it has no record; if no rule makes this file, delete it")

    def command(self, name: str) -> str:
        """Return the command that makes a file anew, and then what is made from it."""
        if "downloads" in Path(name).parts:
            return f"rm -f {shlex.quote(name)} && snakemake --cores all -- {shlex.quote(name)}"
        report = self._folder / "report.html"
        targets = [name, str(report.relative_to(self._root))] if report.is_file() else [name]
        forced = ["snakemake", "--cores", "all", "--forcerun", name, "--"]
        return shlex.join([*forced, *dict.fromkeys(targets)])

    def _recorded(self, source: str, name: str) -> str:
        """Return the SHA-256 of an input as its own record has it; without one, as it is."""
        if source in self._records:
            return self._records[source]["outputs"][source]["sha256"]
        if not (self._root / source).is_file():
            problem = f"it is missing, but {name} was made from it; put it back"
            raise Misfit(source, problem, remake=name)
        return self._hash(self._root / source)

    def _hash(self, path: Path) -> str:
        if path not in self.hashes:
            self.hashes[path] = sha256(path)
        return self.hashes[path]


def _root(folder: Path, name: str) -> Path:
    """Return the folder that names in records are relative to; the results may have moved since."""
    for parent in Path(name).parents:
        depth = len(parent.parts)
        if depth and folder.parts[-depth:] == parent.parts:
            return Path(*folder.parts[:-depth])
    raise UserError(f"{folder}: its records are of another folder, as of {name}")
