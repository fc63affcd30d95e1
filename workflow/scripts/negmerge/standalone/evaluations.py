"""Measurements by a user's command, kept so that an interrupted search goes on."""

import csv
import io
import json
import os
import reprlib
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from negmerge.errors import UserError
from negmerge.files import read_json, write_json, write_text
from negmerge.standalone.coefficients import EXAMPLE, SCORES, Choice, Measurement, keeps
from negmerge.standalone.working import remove

PLACE = "{model}"
# The result is in the last line, and a failure explained there; so much of the end is read.
END = 2**20
PLAN = "plan.json"
RESULTS = "evaluations.jsonl"


def split_command(command: str) -> list[str]:
    """Split a command into words as a shell does, without running one."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UserError(f"--evaluate {command!r}: {error}") from None
    if not any(PLACE in word for word in words):
        raise UserError(
            f"--evaluate {command!r}: expected {PLACE} where the command takes the model, such as "
            f"'python my_eval.py {PLACE}'"
        )
    return words


def run_command(words: list[str], model: Path, where: str, timeout: float | None = None) -> object:
    """Run a command, with the model for `{model}`, and return the JSON in its last line.

    It is ended, with all that it started, when its time is over or this process is interrupted.
    """
    filled = [word.replace(PLACE, str(model.absolute())) for word in words]
    # Files, not pipes: what the command leaves running would keep a pipe open.
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                filled,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            raise UserError(f"{where}: {filled[0]!r} cannot be run: {error.strerror}") from None
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise UserError(
                f"{where}: did not end within {timeout:g} s and was stopped; --timeout sets the "
                "limit"
            ) from None
        finally:
            if process.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        line = _last_line(output)
        if status:
            how = f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"
            raise UserError(f"{where}: {how}: {_last_line(errors) or line or 'it printed nothing'}")
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(
            f"{where}: the last line is {reprlib.repr(line)}, expected JSON such as {EXAMPLE}"
        ) from None


def _last_line(stream: IO[bytes]) -> str:
    """Return the last line of a file that is not blank; empty if there is none."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - END, 0))
    lines = stream.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


class Evaluations:
    """The measurements of a search, one line of a file each, and all else that it needs again.

    What a search with another plan left in the folder is removed.
    """

    def __init__(self, folder: Path, plan: Mapping[str, object]):
        self.folder, self.replaced = folder, False
        self.measured: dict[float, Measurement] = {}
        before = None
        with suppress(UserError):
            before = read_json(folder / PLAN)
        if before != plan:
            for path in folder.iterdir():
                remove(path)
                self.replaced = True
        write_json(folder / PLAN, plan)
        path = folder / RESULTS
        if path.exists():
            # A last line that was cut is measured again.
            whole, _, cut = path.read_text(encoding="utf-8").rpartition("\n")
            if cut:
                write_text(path, f"{whole}\n" if whole else "")
            for line in whole.splitlines():
                measured = Measurement(**json.loads(line))
                self.measured[measured.coefficient] = measured

    def add(self, measured: Measurement) -> None:
        """Keep a measurement, whatever happens next."""
        with open(self.folder / RESULTS, "a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(measured)) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        self.measured[measured.coefficient] = measured


def write_csv(path: Path, choice: Choice) -> None:
    """Write the measurements by ascending coefficient, what is kept and what was chosen."""
    base, *_ = choice.measurements
    others = list(dict.fromkeys(key for row in choice.measurements for key in row.others))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["coefficient", *SCORES, "control_kept", "chosen", *others])
    for row in choice.measurements:
        marks = keeps(row, base, choice.keep), row is choice.chosen
        values = [row.others.get(key, "") for key in others]
        writer.writerow(
            [
                *(row.coefficient, row.forget, row.control),
                *(str(mark).lower() for mark in marks),
                *(v if isinstance(v, str | int | float) else json.dumps(v) for v in values),
            ]
        )
    write_text(path, text.getvalue())
