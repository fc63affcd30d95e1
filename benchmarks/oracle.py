"""Write checksums of all numbers that small studies make, and compare two lists of them.

    python benchmarks/oracle.py write LIST.json [STUDY ...]    (default: all four)
    python benchmarks/oracle.py compare OLD.json NEW.json

A study runs in a fresh copy of this checkout. Tensors are taken one by one, and CSV, JSON and
tables without what tells of time, memory, versions or the jobs that made them.
"""

import argparse
import csv
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from other_machines import ROOT, copy_checkout
from safetensors import safe_open

sys.path.insert(0, str(ROOT / "tests"))
from tiny_study import add_tiny, add_tiny_language

STUDIES = {"tiny": add_tiny, "tiny_language": add_tiny_language, "smoke": None, "demo-full": None}
# Folders and keys that tell how and when a number was made, and tables of seconds.
LEFT_OUT = {"benchmarks", "provenance", "logs"}
ORIGINS = {"made_from", "versions", "seconds", "waited", "passes", "passes_full"}
OF_TIME = {"run-times", "merge-times", "cost"}


def run(study: str, folder: Path) -> Path:
    """Run a study in a copy of the checkout, and return the folder of its results."""
    copy_checkout(folder)
    if add := STUDIES[study]:
        add(folder)
    library = {"PYTHONPATH": str(folder / "workflow" / "scripts"), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--quiet", "progress"]
    subprocess.run(
        [*command, "--", f"results/{study}/report.html"],
        cwd=folder,
        env=os.environ | library,
        check=True,
    )
    return folder / "results" / study


def without_origins(value: object) -> object:
    """Return a value of JSON without the keys that tell how it was made."""
    if isinstance(value, dict):
        return {key: without_origins(one) for key, one in value.items() if key not in ORIGINS}
    return [without_origins(one) for one in value] if isinstance(value, list) else value


def digest(content: bytes | str) -> str:
    """Return the SHA-256 of bytes or text."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def checksums(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the checksums of what one artefact holds, by `#tensor` where there are several."""
    if path.suffix == ".safetensors":
        with safe_open(path, "np") as state:
            for name in sorted(state.keys()):
                tensor = state.get_tensor(name)
                yield (
                    f"#{name}",
                    digest(f"{tensor.dtype}{tensor.shape}".encode() + tensor.tobytes()),
                )
    elif path.suffix == ".json":
        value = without_origins(json.loads(path.read_text()))
        yield "", digest(json.dumps(value, sort_keys=True))
    elif path.suffix == ".csv":
        with open(path, newline="") as stream:
            rows = [
                {k: v for k, v in row.items() if k not in ORIGINS} for row in csv.DictReader(stream)
            ]
        yield "", digest(json.dumps(rows))
    elif path.suffix in (".md", ".tex"):
        yield "", digest(path.read_bytes())


def artefacts(results: Path) -> dict[str, str]:
    """Return the checksums of all artefacts of a study that hold numbers."""
    found = {}
    for path in sorted(results.rglob("*")):
        place = path.relative_to(results)
        if path.is_file() and not LEFT_OUT & set(place.parts) and path.stem not in OF_TIME:
            found |= {f"{results.name}/{place}{part}": value for part, value in checksums(path)}
    return found


def compare(old: dict[str, str], new: dict[str, str]) -> list[str]:
    """Return a line for each artefact that one list lacks, or that differs."""
    gone = [f"gone     {name}" for name in old if name not in new]
    added = [f"new      {name}" for name in new if name not in old]
    other = [f"differs  {name}" for name, value in old.items() if new.get(name, value) != value]
    return [*gone, *added, *other]


def main() -> None:
    """Write a list, or compare two."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    commands = parser.add_subparsers(required=True, dest="command")
    write = commands.add_parser("write")
    write.add_argument("list", type=Path)
    write.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    both = commands.add_parser("compare")
    both.add_argument("lists", type=Path, nargs=2, metavar="LIST")
    chosen = parser.parse_args()
    if chosen.command == "write":
        found = json.loads(chosen.list.read_text()) if chosen.list.exists() else {}
        for study in chosen.studies or STUDIES:
            with tempfile.TemporaryDirectory() as place:
                found |= artefacts(run(study, Path(place) / "checkout"))
            chosen.list.write_text(json.dumps(found, indent=0))
    else:
        old, new = (json.loads(path.read_text()) for path in chosen.lists)
        lines = compare(old, new)
        print(*lines, sep="\n")
        print(f"{len(old)} before, {len(new)} after, {len(lines)} not alike")
        sys.exit(bool(lines))


if __name__ == "__main__":
    main()
