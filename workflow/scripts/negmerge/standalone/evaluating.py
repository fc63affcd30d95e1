"""The coefficient of `negmerge unlearn`, chosen by a command that measures models."""

import csv
import io
import json
import os
import reprlib
import shlex
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO

from negmerge import __version__
from negmerge.checkpoints.hub import is_gguf, locate
from negmerge.errors import UserError
from negmerge.files import read_json, write_json, write_text
from negmerge.settings.selection import Coefficients
from negmerge.standalone.coefficients import (
    EXAMPLE,
    SCORES,
    Choice,
    Measurement,
    best,
    checked_grid,
    choose,
    keeps,
    measurement,
)
from negmerge.standalone.folder import base_folder, push, remove, require_hub, require_replaceable
from negmerge.standalone.output import Target, Tell
from negmerge.standalone.unlearning import negate_files, unlearn

PLACE = "{model}"
# The result is in the last line, and a failure explained there; so much of the end is read.
END = 2**20
CLEAR = "\r\x1b[K"
HEAD = f"{'coefficient':>11}  {'forget':>9}  {'control':>9}  {'kept':>7}"
# What lies in the folder of a search: what it depends on and has measured, and the vector, which is
# kept as it is merged, whatever is written of it in the end.
SEARCH, VECTOR = "search.json", "vector.safetensors"
WHOLE = {"dtype": None, "adapter": None}
# Arguments of `unlearn` that change how it is done, but no measurement.
ASIDE = ("threads", "device", "progress", "command", "max_shard_size", "block_numbers")


def unlearn_by_evaluation(
    base: str | Path,
    pool: Sequence[str | Path],
    output: str | Path,
    evaluate: str,
    *,
    keep: float = 0.95,
    coefficients: Iterable[float] | None = None,
    search: str = "full",
    timeout: float | None = None,
    tell: Tell = lambda line: None,
    force: bool = False,
    push_to: str | None = None,
    **options: object,
) -> dict:
    """Unlearn with the coefficient at which a command finds least remembered and control kept.

    The vector is merged once. For each coefficient of the grid (0:1:0.05 if none is given) a model
    is written in a folder beside `output`, measured by the command `evaluate` within `timeout`
    seconds, and removed again. That folder keeps the vector and what was measured, so that after an
    interruption, or with another grid, the same call goes on. `search` is `full` or `fewer`, see
    `search`; `options` are all else that `unlearn` takes. The report of `unlearn` gets an
    `evaluation`. Where nothing can be forgotten so, it is a `UserError`, and nothing is written.
    """
    output, words, stream = Path(output), split_command(evaluate), sys.stderr
    wanted = Coefficients().values if coefficients is None else coefficients
    grid = checked_grid(wanted, keep, search)
    places = [locate(place) for place in (base, *pool)]
    require_replaceable(output, force, places)
    if push_to is not None:
        becomes_folder = Target(output, base, coefficient=0).folder is not None
        require_hub(push_to, becomes_folder or options.get("adapter") is not None)
    folder = output.with_name(f".{output.name}.evaluating")
    facts = {key: str(value) for key, value in options.items() if key not in ASIDE}
    plan = {"version": __version__, "command": words, "inputs": _stamps(places), "how": facts}
    measured, rows = _measured_before(folder, plan, tell), []
    vector = folder / VECTOR
    clear = CLEAR if stream.isatty() else ""
    if not vector.exists():
        try:
            unlearn(base, pool, vector, vector_only=True, tell=tell, **options | WHOLE)
        except BaseException:
            remove(folder)
            raise
    print(HEAD, file=stream)

    def measure(coefficient: float) -> Measurement:
        remark = "measured before"
        if coefficient not in measured:
            remark = ""
            if clear:
                print(f"{coefficient:>11g}  measuring ...", end="", file=stream, flush=True)
            where = f"evaluation at coefficient {coefficient:g}"
            with _model(base, vector, coefficient, options) as model:
                returned = run_command(words, model, where, timeout)
            measured[coefficient] = measurement(coefficient, returned, where)
            kept = [asdict(row) for row in measured.values()]
            write_json(folder / SEARCH, {"plan": plan, "measurements": kept})
        rows.append(measured[coefficient])
        print(clear + _row(rows, keep, remark), file=stream, flush=True)
        return measured[coefficient]

    choice = choose(grid, measure, keep, search)
    for note in choice.notes():
        tell(note)
    if not choice.coefficient:
        _write_csv(choice, folder / "evaluations.csv")
        raise UserError(
            f"{output}: not written: no coefficient up to {choice.grid[-1]:g} lowers the forget"
            f" score and keeps {100 * keep:g} % of control; see {folder}/evaluations.csv"
        )
    report = unlearn(
        base,
        pool,
        output,
        coefficient=choice.coefficient,
        tell=tell,
        force=force,
        evaluation={
            "command": evaluate,
            "keep": keep,
            "search": search,
            "grid": list(choice.grid),
            "measurements": [asdict(row) for row in choice.measurements],
            "upper_end": choice.upper_end,
            "forget_falls": choice.forget_falls,
            "control_falls": choice.control_falls,
        },
        **options,
    )
    is_folder = output.is_dir()
    csv_file = output / "evaluations.csv" if is_folder else output.with_suffix(".evaluations.csv")
    _write_csv(choice, csv_file)
    remove(folder)
    if push_to is not None:
        tell(f"{output}: is at {push(output, push_to)}")
    return report


def _stamps(places: Iterable[Path]) -> list[list]:
    """Describe the files of models by absolute path, size and time of the last change."""
    files = [path for place in places for path in (place, *sorted(place.glob("*")))]
    stats = [(path, path.stat()) for path in files if path.is_file()]
    return [[str(path.absolute()), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _measured_before(folder: Path, plan: dict, tell: Tell) -> dict[float, Measurement]:
    """Open the folder of a search: read what it measured, or empty it if its plan was another."""
    folder.mkdir(parents=True, exist_ok=True)
    before = {}
    with suppress(UserError):
        before = read_json(folder / SEARCH, ["plan", "measurements"])
    left = list(folder.iterdir())
    if before.get("plan") == plan:
        if rows := [Measurement(**row) for row in before["measurements"]]:
            tell(f"{folder}: goes on with what was measured before; remove it to measure anew")
        return {row.coefficient: row for row in rows}
    for path in left:
        remove(path)
    if left:
        tell(f"{folder}: was of other inputs or another command; beginning anew")
    write_json(folder / SEARCH, {"plan": plan, "measurements": []})
    return {}


@contextmanager
def _model(base: str | Path, vector: Path, coefficient: float, options: dict) -> Iterator[Path]:
    """Write base - coefficient * vector, and remove it in the end; the base itself stays."""
    own, dtype = locate(base), options.get("dtype") or "auto"
    is_loaded = own.suffix == ".safetensors" or (own.is_dir() and not is_gguf(own))
    if coefficient == 0 and dtype == "auto" and is_loaded:
        yield own
        return
    suffix = "" if base_folder(base) else ".safetensors"
    model = vector.with_name(f"{coefficient:g}{suffix}")
    remove(model)
    taken = {key: options[key] for key in ("key", "threads") if key in options}
    negate_files(base, vector, coefficient, model, dtype, **taken)
    try:
        yield model
    finally:
        remove(model)


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
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": errors}
        try:
            process = subprocess.Popen(filled, **streams, start_new_session=True)
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
        # NaN is no number of JSON, in which measurements are kept.
        return json.loads(line, parse_constant=str)
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


def _row(rows: Sequence[Measurement], keep: float, remark: str) -> str:
    """Return the line of the last measurement; the first is that of the base."""
    base, last = rows[0], rows[-1]
    if last is base:
        verdict = "base"
    elif not keeps(last, base, keep):
        verdict = "control lost"
    else:
        verdict = "best so far" if best(rows, keep) is last else ""
    kept = f"{100 * last.control / base.control:.1f}%" if base.control > 0 else "-"
    scores = (f"{s:.4f}" if abs(s) < 1000 else f"{s:.4g}" for s in (last.forget, last.control))
    cells = [f"{last.coefficient:>11g}", *(f"{score:>9}" for score in scores), f"{kept:>7}"]
    return "  ".join([*cells, ", ".join(filter(None, [verdict, remark]))]).rstrip()


def _write_csv(choice: Choice, path: Path) -> None:
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
