"""The files of a finished study."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import load_file


@dataclass(frozen=True)
class Task:
    """The folder `results/{study}/{experiment}/{task}`."""

    study: Path
    experiment: str
    name: str

    @property
    def folder(self) -> Path:
        return self.study / self.experiment / self.name

    @property
    def base(self) -> Path:
        """What is to forget: the original classifier of the task, or the experiment's CLIP."""
        original = self.folder / "trained" / "original.safetensors"
        return original if original.exists() else self.folder.parent / "base.safetensors"

    def files(self, folder: str, ending: str) -> dict[str, Path]:
        """Return the files of a folder by name, sorted; none where there is no such folder."""
        paths = (self.folder / folder).glob(f"*.{ending}")
        return dict(sorted((path.name.removesuffix(f".{ending}"), path) for path in paths))


@dataclass(frozen=True)
class Study:
    """The folder `results/{study}`."""

    folder: Path

    def tasks(self) -> Iterator[Task]:
        """Yield the tasks of all experiments: the folders in which something was chosen."""
        for path in sorted(self.folder.glob("*/*/selected")):
            yield Task(self.folder, path.parts[-3], path.parts[-2])

    def tables(self) -> dict[str, Path]:
        """Return the tables by name."""
        return {path.stem: path for path in sorted(self.folder.glob("tables/*.csv"))}

    def place(self, path: Path) -> str:
        """Return the place of a file within the study."""
        return str(path.relative_to(self.folder))


read_tensors = load_file


def read_header(path: Path) -> dict:
    """Read what the workflow has noted in the header of a safetensors file."""
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["negmerge"])


def read_records(path: Path) -> list[dict]:
    """Read the records of a method: of each rule that chose, that of the main rule first."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read the rows of a CSV file, as texts by column."""
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))
