"""What was measured so far, kept in a folder so that an interrupted search goes on."""

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import read_json, write_json, write_text
from negmerge.standalone.coefficients import Choice, keeps
from negmerge.standalone.measurement import SCORES, Measurement
from negmerge.standalone.working import remove, stamps

PLAN = "plan.json"
RESULTS = "evaluations.jsonl"


class Evaluations:
    """The measurements of a search, one line of a file each, and all else that it needs again.

    What a search with another plan left in the folder is removed.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object]):
        self.folder, self.replaced = folder, False
        self.found: dict[float, Measurement] = {}
        if not self._is_of(plan):
            for path in folder.iterdir():
                remove(path)
                self.replaced = True
        write_json(folder / PLAN, plan)
        self._take_over()

    def add(self, measured: Measurement) -> None:
        """Keep a measurement, whatever happens next."""
        with open(self.folder / RESULTS, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(measured)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.found[measured.coefficient] = measured

    def _is_of(self, plan: Mapping[str, object]) -> bool:
        with suppress(UserError):
            return read_json(self.folder / PLAN) == plan
        return False

    def _take_over(self) -> None:
        """Read what was measured, but for a last line that was cut, which is removed."""
        path = self.folder / RESULTS
        if not path.exists():
            return
        whole, _, cut = path.read_text(encoding="utf-8").rpartition("\n")
        if cut:
            write_text(path, f"{whole}\n" if whole else "")
        for line in whole.splitlines():
            measured = Measurement(**json.loads(line))
            self.found[measured.coefficient] = measured


def fingerprint(places: Iterable[Path]) -> list[list]:
    """Describe files, and those in folders, by path, size and time of the last change."""
    return stamps(
        file
        for place in places
        for file in (sorted(place.iterdir()) if place.is_dir() else [place])
        if file.is_file()
    )


def write_csv(path: Path, choice: Choice) -> None:
    """Write the measurements by ascending coefficient, what is kept and what was chosen."""
    others = list(dict.fromkeys(key for one in choice.measurements for key in one.others))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["coefficient", *SCORES, "control_kept", "chosen", *others])
    base = choice.measurements[0]
    for one in choice.measurements:
        marks = [
            str(mark).lower() for mark in (keeps(one, base, choice.keep), one is choice.chosen)
        ]
        more = [_cell(one.others.get(key, "")) for key in others]
        writer.writerow([one.coefficient, one.forget, one.control, *marks, *more])
    write_text(path, text.getvalue())


def _cell(value: object) -> object:
    return value if isinstance(value, str | int | float) else json.dumps(value)
