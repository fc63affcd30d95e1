"""The coefficient of `negmerge unlearn` by a command that measures models."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from negmerge import __version__
from negmerge.checkpoints.hub import locate
from negmerge.errors import UserError
from negmerge.reporting import style
from negmerge.settings.experiment import Coefficients
from negmerge.standalone.coefficients import (
    Choice,
    Measurement,
    best,
    checked,
    choose,
    keeps,
    measurement,
)
from negmerge.standalone.evaluations import (
    Evaluations,
    fingerprint,
    run_command,
    split_command,
    write_csv,
)
from negmerge.standalone.folder import base_folder, require_replaceable
from negmerge.standalone.output import Tell
from negmerge.standalone.unlearning import negate_files, unlearn
from negmerge.standalone.working import only_one, remove

CLEAR = "\r\x1b[K"
VECTOR = "vector.safetensors"
# The vector is kept as it is merged, whatever is made of it in the end.
WHOLE = {"dtype": None, "adapter": None}
# Arguments of `unlearn` that change how it is done, but no measurement.
ASIDE = ("threads", "device", "progress", "command", "max_shard_size", "block_numbers")


class Table:
    """A row for each measurement."""

    def __init__(self, stream: TextIO, keep: float):
        self._stream, self._keep = stream, keep
        self._rows: list[Measurement] = []

    def start(self, coefficient: float) -> None:
        """Show what is under way, on a terminal only."""
        if self._stream.isatty():
            self._print(f"{CLEAR}{coefficient:>11g}  measuring ...", end="")

    def row(self, measured: Measurement, again: bool) -> None:
        """Show a measurement."""
        clear = CLEAR if self._stream.isatty() else ""
        if not self._rows:
            self._print(f"{clear}{'coefficient':>11}  {'forget':>9}  {'control':>9}  {'kept':>7}")
        self._rows.append(measured)
        base = self._rows[0]
        kept = f"{100 * measured.control / base.control:.1f}%" if base.control > 0 else "-"
        notes = [self._remark(measured, base), "measured before" if again else ""]
        scores = f"{_score(measured.forget):>9}  {_score(measured.control):>9}"
        line = f"{measured.coefficient:>11g}  {scores}  {kept:>7}  {', '.join(filter(None, notes))}"
        self._print(f"{clear}{line.rstrip()}")

    def _remark(self, measured: Measurement, base: Measurement) -> str:
        if measured is base:
            return "base"
        if not keeps(measured, base, self._keep):
            return "control lost"
        return "best so far" if best(self._rows, self._keep) is measured else ""

    def _print(self, text: str, end: str = "\n") -> None:
        print(text, end=end, file=self._stream, flush=True)


def _score(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 1000 else f"{score:.4g}"


def draw(choice: Choice, path: Path) -> None:
    """Draw what was measured into a file that ends in `.png` or `.pdf`."""
    with style.settings():
        figure = style.canvas(6, 3.8)
        axes = figure.subplots()
        coefficients = [one.coefficient for one in choice.measurements]
        for score, colour, marker in zip(
            ("forget", "control"), style.COLOURS, style.MARKERS, strict=False
        ):
            values = [getattr(one, score) for one in choice.measurements]
            axes.plot(coefficients, values, color=colour, marker=marker, ms=4, lw=1.2, label=score)
        least = choice.keep * choice.measurements[0].control
        axes.axhline(
            least,
            color=style.COLOURS[1],
            ls="--",
            lw=1,
            label=f"control to keep: {100 * choice.keep:g} %",
        )
        axes.axvline(
            choice.coefficient,
            color=style.GREY,
            ls=":",
            lw=1.5,
            label=f"chosen: {choice.coefficient:g}",
        )
        axes.set(xlabel="coefficient", ylabel="score (larger: better remembered)")
        axes.legend(fontsize=8)
        style.save(figure, path)


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
    table: TextIO | None = None,
    tell: Tell = lambda line: None,
    force: bool = False,
    **how: object,
) -> dict:
    """Unlearn with the coefficient at which a command finds least remembered and control kept.

    The vector is merged once. For each coefficient a model is written in a folder beside `output`
    (`.OUTPUT.evaluating`), measured and removed again. That folder keeps the vector and what was
    measured, so that after an interruption, or with another grid, the same call goes on.

    Args:
        base: see `unlearn`. It is measured first, at its own place, where its format and dtype are
            those of the other models.
        pool: see `unlearn`.
        output: see `unlearn`; it also gets `evaluations.csv` and, where matplotlib is installed,
            `evaluations.png`. Beside a file they are named after it.
        evaluate: the command; see `evaluations.run_command`.
        keep: share of the base's control score to keep, 0..1.
        coefficients: the grid; from 0 to 1 by 0.05 if none is given. 0 is always in it.
        search: `full` or `fewer`, see `coefficients.choose`.
        timeout: seconds for each run of the command; None waits for ever.
        table: where the measurements are shown as they are made; standard error if none is given.
        tell: see `unlearn`.
        force: see `unlearn`.
        how: all else that `unlearn` takes.

    Returns:
        The report of `unlearn`, with `evaluation`: `command`, `keep`, `search`, `grid`,
        `measurements`, `upper_end`, `forget_falls` and `control_falls`.

    Raises:
        UserError: as `unlearn`; a command that fails; or the choice is 0, so that nothing can be
            forgotten under the rule. No output is written then, and what was measured is kept.
    """
    output, words = Path(output), split_command(evaluate)
    wanted = Coefficients().values if coefficients is None else coefficients
    grid = checked(wanted, keep, search)
    places = [locate(place) for place in (base, *pool)]
    require_replaceable(output, force, places)
    facts = {key: str(value) for key, value in how.items() if key not in ASIDE}
    plan = {"version": __version__, "command": words, "inputs": fingerprint(places), "how": facts}
    with _evaluations(output, plan, tell) as kept:
        vector = kept.folder / VECTOR
        if not vector.exists():
            unlearn(base, pool, vector, vector_only=True, tell=tell, **how | WHOLE)
        shown = Table(table or sys.stderr, keep)

        def measure(coefficient: float) -> Measurement:
            again = coefficient in kept.found
            if not again:
                shown.start(coefficient)
                where = f"evaluation at coefficient {coefficient:g}"
                with _model(base, vector, coefficient, kept.folder, how) as model:
                    found = run_command(words, model, where, timeout)
                kept.add(measurement(coefficient, found, where))
            shown.row(kept.found[coefficient], again)
            return kept.found[coefficient]

        choice = choose(grid, measure, keep, search)
        for note in choice.notes():
            tell(note)
        if not choice.coefficient:
            _show(choice, kept.folder / "evaluations", tell)
            raise UserError(
                f"{output}: not written: no coefficient up to {choice.grid[-1]:g} lowers the forget"
                f" score and keeps {100 * keep:g} % of control; see {kept.folder}/evaluations.csv"
            )
        record = _record(choice, evaluate, search)
        report = unlearn(
            base,
            pool,
            output,
            coefficient=choice.coefficient,
            tell=tell,
            force=force,
            evaluation=record,
            **how,
        )
        beside = output / "evaluations" if output.is_dir() else output.with_suffix(".evaluations")
        _show(choice, beside, tell)
        remove(kept.folder)
    return report


@contextmanager
def _evaluations(output: Path, plan: dict, tell: Tell) -> Iterator[Evaluations]:
    """Open the folder of a search; no other process may have it, and nothing empty is left."""
    folder = output.with_name(f".{output.name}.evaluating")
    folder.mkdir(parents=True, exist_ok=True)
    with only_one(folder, output):
        kept = Evaluations(folder, plan)
        if kept.replaced:
            tell(f"{folder}: was of other inputs or another command; beginning anew")
        elif kept.found:
            tell(f"{folder}: goes on with what was measured before; remove it to measure anew")
        try:
            yield kept
        finally:
            if not (folder / VECTOR).exists():
                remove(folder)


@contextmanager
def _model(
    base: str | Path, vector: Path, coefficient: float, folder: Path, how: dict
) -> Iterator[Path]:
    """Write base - coefficient * vector, and remove it in the end; the base itself stays."""
    own, dtype = locate(base), how.get("dtype") or "auto"
    is_alike = own.is_dir() or own.suffix == ".safetensors"
    if coefficient == 0 and is_alike and dtype == "auto":
        yield own
        return
    model = folder / (f"{coefficient:g}" if base_folder(base) else f"{coefficient:g}.safetensors")
    options = {key: how[key] for key in ("key", "threads") if key in how}
    remove(model)
    negate_files(base, vector, coefficient, model, dtype, **options)
    try:
        yield model
    finally:
        remove(model)


def _record(choice: Choice, evaluate: str, search: str) -> dict:
    return {
        "command": evaluate,
        "keep": choice.keep,
        "search": search,
        "grid": list(choice.grid),
        "measurements": [asdict(one) for one in choice.measurements],
        "upper_end": choice.upper_end,
        "forget_falls": choice.forget_falls,
        "control_falls": choice.control_falls,
    }


def _show(choice: Choice, stem: Path, tell: Tell) -> None:
    """Write the measurements as a table and, if that can be done, as a figure."""
    write_csv(stem.with_name(f"{stem.name}.csv"), choice)
    try:
        draw(choice, stem.with_name(f"{stem.name}.png"))
    except ImportError:
        tell("no figure of the measurements: it needs matplotlib, pip install 'negmerge[plot]'")
