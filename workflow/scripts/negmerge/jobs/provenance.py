"""Records of how files were made: from what, with which settings, versions and machine.

The record of the job that made `FOLDER/place` is `FOLDER/provenance/place.json`, where FOLDER is
that of a study's results, or that of the data; for a job's further outputs that is a link to it.
Results are the same bytes in each run; what differs between runs stands in records only.
"""

import os
import platform
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from importlib import metadata
from pathlib import Path
from typing import Any

from negmerge import __version__
from negmerge.errors import UserError
from negmerge.files import read_json, sha256, write_json

FOLDER = "provenance"
KEYS = ("rule", "inputs", "outputs", "checkpoints")
# Another version of these may load, change, add up or show numbers in another way.
PACKAGES = (
    "torch", "torchvision", "timm", "open_clip_torch", "numpy", "scipy", "scikit-learn", "pandas",
    "pillow", "safetensors", "tokenizers", "transformers", "peft", "rouge-score", "pyarrow",
    "matplotlib", "jinja2",
)  # fmt: skip


def place_of_record(folder: Path, path: Path) -> Path:
    """Return the place of the record of a file in `folder`, the study's or that of the data."""
    place = path.relative_to(folder)
    return folder / FOLDER / place.with_name(f"{place.name}.json")


def find_record(path: Path) -> Path | None:
    """Find the record of a file, or None if none of the folders above it has one."""
    records = (place_of_record(folder, path) for folder in path.parents)
    return next((record for record in records if record.is_file()), None)


def read_record(path: Path) -> dict:
    """Read the record of a job; its `inputs` and `outputs` are by the files' names."""
    return read_json(path, KEYS)


def records_behind(folder: Path, root: Path = Path()) -> dict[Path, dict]:
    """Read the records of a study and of all that its files were made from, by their places."""
    waiting, records = sorted((folder / FOLDER).rglob("*.json"), reverse=True), {}
    while waiting:
        place = waiting.pop()
        # That of a job's further output is a link, perhaps to one that is gone.
        if place not in records and place.is_file():
            records[place] = read_record(place)
            inputs = records[place]["inputs"].values()
            waiting += [root / facts["record"] for facts in inputs if facts["record"]]
    return records


class Provenance:
    """What a job is made of and what it makes, for its record."""

    def __init__(self, snakemake: Any):
        self._job = snakemake
        self._started, self._clock = datetime.now(UTC), time.monotonic()
        self._inputs: dict[str, dict[str, str | None]] = {}
        log, output = Path(snakemake.log[0]), Path(snakemake.output[0])
        # The study's folder, or that of the data, in which logs and records have folders.
        folders = (parent.parent for parent in log.parents if parent.name == "logs")
        folder = next(folder for folder in folders if output.is_relative_to(folder))
        self._places = [place_of_record(folder, Path(path)) for path in snakemake.output]

    def begin(self) -> None:
        """Remove the record of an earlier run, and check that the inputs fit theirs."""
        for place in self._places:
            place.unlink(missing_ok=True)
        self._inputs = {path: _checked(path) for path in dict.fromkeys(self._job.input)}

    def made_from(self) -> dict[str, str | list[str]]:
        """Return the SHA-256 of the job's inputs by their names in the rule: one, or a list."""
        sums = {path: facts["sha256"] for path, facts in self._inputs.items()}
        return {
            name: sums[files] if isinstance(files, str) else [sums[path] for path in files]
            for name, files in self._job.input.items()
        }

    def write(self) -> None:
        """Write the job's record, when all outputs are complete."""
        record = {
            "rule": self._job.rule,
            "wildcards": dict(self._job.wildcards.items()),
            "inputs": self._inputs,
            "outputs": {path: self._facts(path) for path in self._job.output},
            "checkpoints": self._job.config.get("checkpoints", "all"),
            "params": dict(self._job.params.items()),
            "versions": versions(),
            "machine": machine(device_name(self._job)) | {"threads": self._job.threads},
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._clock, 3),
        }
        first, *others = self._places
        write_json(first, record)
        for place in others:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.path.relpath(first, place.parent))

    def _facts(self, path: str) -> dict[str, int | str | bool]:
        facts = os.stat(path)
        # In a module, a prefix stands before the place.
        marked = self._job.config.get("intermediate", [])
        return {
            "bytes": facts.st_size,
            "modified": facts.st_mtime_ns,
            "sha256": sha256(path),
            "intermediate": any(fnmatchcase(path, f"*{place}") for place in marked),
        }


def _checked(path: str) -> dict[str, str | None]:
    """Return the `sha256` of an input and the place of its `record`, after checking that they fit.

    To hash images that hundreds of jobs read would take longer than some jobs do. So a file with
    the size and time of its record is taken for the one that was recorded; `negmerge verify` hashes
    every file. Snakemake sets the time anew when a job has ended, so the first job that reads a
    file writes the new one down.
    """
    place = find_record(Path(path))
    record = read_record(place) if place else {"outputs": {}}
    recorded, facts = record["outputs"].get(path), os.stat(path)
    if recorded is None:
        # A folder, which a source of data may read, has no hash.
        return {"sha256": None if Path(path).is_dir() else sha256(path), "record": None}
    if (facts.st_size, facts.st_mtime_ns) != (recorded["bytes"], recorded["modified"]):
        digest, expected = sha256(path), recorded["sha256"]
        if digest != expected:
            raise UserError(
                f"{path}: not the file that {record['rule']} made: found sha256 {digest}, expected "
                f"{expected}; delete it and run again, or delete {place} if the file is right"
            )
        recorded["modified"] = facts.st_mtime_ns
        with suppress(UserError):
            write_json(place.resolve(), record)
    return {"sha256": recorded["sha256"], "record": str(place)}


def device_name(snakemake: Any) -> str:
    """Name the device of a job: a GPU where its rule asks for one."""
    return "cuda" if snakemake.resources.get("gpu") else "cpu"


def versions() -> dict[str, str]:
    """Return the versions of Python, of this library and of `PACKAGES` that are installed."""
    installed = {"python": platform.python_version(), "negmerge": __version__}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def machine(device: str) -> dict[str, str]:
    """Describe the machine: system, device, and what decides the last bits of sums there."""
    facts = {"system": platform.platform(), "device": device}
    if torch := sys.modules.get("torch"):
        # Sums differ between kinds of processors, as they do between GPUs.
        facts["vectors"] = torch.backends.cpu.get_cpu_capability()
        if device == "cuda":
            facts["gpu"] = torch.cuda.get_device_name()
    return facts
