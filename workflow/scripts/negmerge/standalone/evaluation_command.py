"""A user's command that measures a model on disk."""

import json
import os
import reprlib
import shlex
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO

from negmerge.errors import UserError
from negmerge.standalone.measurement import EXAMPLE

PLACE = "{model}"
# The result is in the last line, and a failure explained there; so much of the end is read.
END = 2**20


def split(command: str) -> list[str]:
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


def run(words: list[str], model: Path, where: str, timeout: float | None = None) -> object:
    """Run a command, with the model for `{model}`, and return the JSON in its last line.

    The command reads nothing from the terminal. It is ended, with all that it started, when its
    time is over or this process is interrupted.
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
        if status:
            last = _last_line(errors) or _last_line(output) or "it printed nothing"
            raise UserError(f"{where}: {_ending(status)}: {last}")
        return _parsed(_last_line(output), where)


def _ending(status: int) -> str:
    return f"was ended by signal {-status}" if status < 0 else f"failed with status {status}"


def _last_line(stream: IO[bytes]) -> str:
    """Return the last line of a file that is not blank; empty if there is none."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(size - END, 0))
    lines = stream.read().decode(errors="replace").splitlines()
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def _parsed(line: str, where: str) -> object:
    if not line:
        raise UserError(f"{where}: printed nothing, expected a last line such as {EXAMPLE}")
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise UserError(
            f"{where}: the last line is {reprlib.repr(line)}, expected JSON such as {EXAMPLE}"
        ) from None
