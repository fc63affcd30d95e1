"""What Snakemake keeps: how files were made, which ones a run is making, and what jobs took."""

import json
import os
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

FOLDER = Path(".snakemake")
METADATA = FOLDER / "metadata"
# What decides whether a job runs again. The rest is about the machine: environments and times.
KEPT = (
    "rule", "input", "log", "shellcmd", "params", "code", "record_format_version",
    "input_checksums",
)  # fmt: skip

# What the log of a job says that waited until a GPU was free.
WAITED = "waited {} s for a GPU"
READ_WAITED = re.compile("^" + WAITED.format(r"(\d+\.\d)") + "$", re.M)


def waited(benchmark: str | Path) -> float:
    """Return the seconds of a benchmark in which the job waited for a GPU, as its log says."""
    folder, _, place = str(benchmark).rpartition("/benchmarks/")
    log = Path(folder, "logs", place).with_suffix(".log")
    text = log.read_text(errors="replace") if log.is_file() else ""
    return sum(map(float, READ_WAITED.findall(text)))


def place_of(output: str, folder: Path = METADATA) -> Path:
    """Return where Snakemake keeps what it knows of a file: under its name in base 64, in parts."""
    name = urlsafe_b64encode(output.encode()).decode()
    size = os.pathconf(folder if folder.is_dir() else ".", "PC_NAME_MAX") - 1
    *parts, last = (name[start : start + size] for start in range(0, len(name), size))
    return folder.joinpath(*(f"@{part}" for part in parts), last)


def read_kept(outputs: Iterable[str]) -> dict[str, dict]:
    """Return what Snakemake knows of files, without what is about the machine."""
    found = {}
    for output in outputs:
        place = place_of(output)
        if place.is_file():
            record = json.loads(place.read_text())
            found[output] = {key: record[key] for key in KEPT if key in record}
    return found


def made_now() -> dict[str, float]:
    """Return the files that runs are making, or were when they were killed, and since when.

    Jobs on a cluster count from the moment in which they are submitted.
    """
    incomplete, found = FOLDER / "incomplete", {}
    for path in sorted(incomplete.rglob("*")):
        # A job may end meanwhile; Snakemake may keep other files there.
        with suppress(FileNotFoundError, ValueError):
            if path.is_file():
                parts = path.relative_to(incomplete).parts
                name = urlsafe_b64decode("".join(part.removeprefix("@") for part in parts))
                found[name.decode()] = path.stat().st_mtime
    return found


def is_locked(folder: str) -> bool:
    """Whether a run holds files below a folder."""
    locks = sorted((FOLDER / "locks").glob("*.output.lock"))
    lines = (line for lock in locks for line in lock.read_text().splitlines())
    return any(line.startswith(f"{folder}/") for line in lines)
