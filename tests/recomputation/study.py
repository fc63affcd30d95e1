"""The files of a finished study, and a ledger of what was compared."""

import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file


@dataclass(frozen=True)
class Task:
    """The folder `results/{study}/{experiment}/{task}`."""

    folder: Path

    @property
    def base(self) -> Path:
        """What is to forget: an original classifier, a CLIP, or what an earlier request left."""
        original = self.folder / "trained" / "original.safetensors"
        scores = self.folder / "scores" / "pretrained.json"
        if scores.exists() and (after := read_records(scores)[0].get("after")):
            experiment, task, method = after.split("/")
            place = self.folder.parents[1] / experiment / task
            return place / "unlearned" / f"{method}.safetensors"
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
            yield Task(path.parent)

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


class Ledger:
    """What was compared and left out, by kind, and what differs.

    Required kinds must be there. Of a kind that is there, something must have been compared, unless
    it is optional.
    """

    def __init__(self, required: Iterable[str], optional: Iterable[str]):
        self.compared, self.left_out, self.faults = Counter(), Counter(), []
        self._required, self._optional = list(required), set(optional)

    def leave_out(self, kind: str, reason: str) -> None:
        self.compared[kind] += 0
        self.left_out[kind, reason] += 1

    def array(self, kind: str, place: str, stored: np.ndarray, expected: np.ndarray) -> None:
        """Compare two arrays bit by bit, but for the sign of a zero."""
        layouts = [f"{one.dtype} {list(one.shape)}" for one in (stored, expected)]
        unlike = 0 if layouts[0] != layouts[1] else np.count_nonzero(stored != expected)
        found = {"layout": layouts[0], "numbers that differ": int(unlike)}
        self.values(kind, place, found, {"layout": layouts[1], "numbers that differ": 0})

    def values(
        self, kind: str, place: str, stored: Mapping, expected: Mapping, tolerance: float = 0.0
    ) -> None:
        """Compare the values of some keys; numbers may differ by a tolerance."""
        self.compared[kind] += 1
        for key, value in expected.items():
            pair = stored.get(key), value
            is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in pair)
            if pair[0] != value and not (is_number and abs(pair[0] - value) <= tolerance):
                self.faults.append(f"{place}: {kind}: {key} is {pair[0]!r}, recomputed {value!r}")

    def lines(self) -> list[str]:
        """Describe of each kind how many were compared, and how many were not, and why."""
        return [
            f"{kind}: compared {count}"
            + "".join(
                f"; left out {n}: {why}" for (k, why), n in self.left_out.items() if k == kind
            )
            for kind, count in self.compared.items()
        ]

    def problems(self) -> list[str]:
        """List what differs, and the kinds of which nothing was compared."""
        kinds = dict.fromkeys([*self._required, *self.compared.keys() - self._optional])
        return self.faults + [f"{k}: none was compared" for k in kinds if not self.compared[k]]
