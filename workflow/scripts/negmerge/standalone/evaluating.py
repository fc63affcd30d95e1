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
    SCORES,
    Choice,
    Measurement,
    best,
    checked_grid,
    choose,
    keeps,
    measurement,
)
from negmerge.standalone.evaluations import Evaluations, run_command, split_command, write_csv
from negmerge.standalone.folder import base_folder, require_replaceable
from negmerge.standalone.output import Tell
from negmerge.standalone.unlearning import negate_files, unlearn
from negmerge.standalone.working import only_one, remove, stamps

CLEAR = "\r\x1b[K"
VECTOR = "vector.safetensors"
# The vector is kept as it is merged, whatever is made of it in the end.
WHOLE = {"dtype": None, "adapter": None, "push_to": None}
# Arguments of `unlearn` that change how it is done, but no measurement.
ASIDE = ("threads", "device", "progress", "command", "max_shard_size", "block_numbers", "push_to")


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
    output, words = Path(output), split_command(evaluate)
    wanted = Coefficients().values if coefficients is None else coefficients
    grid = checked_grid(wanted, keep, search)
    places = [locate(place) for place in (base, *pool)]
    require_replaceable(output, force, places)
    inputs = [
        file
        for place in places
        for file in (sorted(place.iterdir()) if place.is_dir() else [place])
        if file.is_file()
    ]
    facts = {key: str(value) for key, value in options.items() if key not in ASIDE}
    plan = {"version": __version__, "command": words, "inputs": stamps(inputs), "how": facts}
    with _evaluations(output, plan, tell) as kept:
        vector = kept.folder / VECTOR
        if not vector.exists():
            unlearn(base, pool, vector, vector_only=True, tell=tell, **options | WHOLE)
        shown = Table(table or sys.stderr, keep)

        def measure(coefficient: float) -> Measurement:
            again = coefficient in kept.measured
            if not again:
                shown.start(coefficient)
                where = f"evaluation at coefficient {coefficient:g}"
                with _model(base, vector, coefficient, kept.folder, options) as model:
                    returned = run_command(words, model, where, timeout)
                kept.add(measurement(coefficient, returned, where))
            shown.row(kept.measured[coefficient], again)
            return kept.measured[coefficient]

        choice = choose(grid, measure, keep, search)
        for note in choice.notes():
            tell(note)
        if not choice.coefficient:
            _write(choice, kept.folder / "evaluations", tell)
            raise UserError(
                f"{output}: not written: no coefficient up to {choice.grid[-1]:g} lowers the forget"
                f" score and keeps {100 * keep:g} % of control; see {kept.folder}/evaluations.csv"
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
                "measurements": [asdict(measured) for measured in choice.measurements],
                "upper_end": choice.upper_end,
                "forget_falls": choice.forget_falls,
                "control_falls": choice.control_falls,
            },
            **options,
        )
        stem = output / "evaluations" if output.is_dir() else output.with_suffix(".evaluations")
        _write(choice, stem, tell)
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
        elif kept.measured:
            tell(f"{folder}: goes on with what was measured before; remove it to measure anew")
        try:
            yield kept
        finally:
            if not (folder / VECTOR).exists():
                remove(folder)


@contextmanager
def _model(
    base: str | Path, vector: Path, coefficient: float, folder: Path, options: dict
) -> Iterator[Path]:
    """Write base - coefficient * vector, and remove it in the end; the base itself stays."""
    own, dtype = locate(base), options.get("dtype") or "auto"
    is_alike = own.is_dir() or own.suffix == ".safetensors"
    if coefficient == 0 and is_alike and dtype == "auto":
        yield own
        return
    model = folder / (f"{coefficient:g}" if base_folder(base) else f"{coefficient:g}.safetensors")
    remove(model)
    taken = {key: options[key] for key in ("key", "threads") if key in options}
    negate_files(base, vector, coefficient, model, dtype, **taken)
    try:
        yield model
    finally:
        remove(model)


class Table:
    """A row for each measurement."""

    def __init__(self, stream: TextIO, keep: float):
        self._stream, self._keep = stream, keep
        self._clear = CLEAR if stream.isatty() else ""
        self._rows: list[Measurement] = []

    def start(self, coefficient: float) -> None:
        """Show what is under way, on a terminal only."""
        if self._clear:
            self._print(f"{coefficient:>11g}  measuring ...", end="")

    def row(self, measured: Measurement, again: bool) -> None:
        """Show a measurement."""
        if not self._rows:
            self._print(f"{'coefficient':>11}  {'forget':>9}  {'control':>9}  {'kept':>7}")
        self._rows.append(measured)
        base = self._rows[0]
        kept = f"{100 * measured.control / base.control:.1f}%" if base.control > 0 else "-"
        if measured is base:
            remark = "base"
        elif not keeps(measured, base, self._keep):
            remark = "control lost"
        else:
            remark = "best so far" if best(self._rows, self._keep) is measured else ""
        remarks = ", ".join(filter(None, [remark, "measured before" if again else ""]))
        scores = f"{_score(measured.forget):>9}  {_score(measured.control):>9}"
        self._print(f"{measured.coefficient:>11g}  {scores}  {kept:>7}  {remarks}".rstrip())

    def _print(self, text: str, end: str = "\n") -> None:
        print(self._clear + text, end=end, file=self._stream, flush=True)


def _score(score: float) -> str:
    return f"{score:.4f}" if abs(score) < 1000 else f"{score:.4g}"


def _write(choice: Choice, stem: Path, tell: Tell) -> None:
    """Write the measurements as a table and, if that can be done, as a figure."""
    write_csv(stem.with_name(f"{stem.name}.csv"), choice)
    try:
        _draw(choice, stem.with_name(f"{stem.name}.png"))
    except ImportError:
        tell("no figure of the measurements: it needs matplotlib, pip install 'negmerge[plot]'")


def _draw(choice: Choice, path: Path) -> None:
    least = choice.keep * choice.measurements[0].control
    line = {"color": style.COLOURS[1], "ls": "--", "lw": 1}
    chosen = {"color": style.GREY, "ls": ":", "lw": 1.5}
    with style.settings():
        figure = style.canvas(6, 3.8)
        axes = figure.subplots()
        coefficients = [measured.coefficient for measured in choice.measurements]
        for score, look in style.styles(SCORES).items():
            values = [getattr(measured, score) for measured in choice.measurements]
            axes.plot(coefficients, values, ms=4, lw=1.2, label=score, **look)
        axes.axhline(least, label=f"control to keep: {100 * choice.keep:g} %", **line)
        axes.axvline(choice.coefficient, label=f"chosen: {choice.coefficient:g}", **chosen)
        axes.set(xlabel="coefficient", ylabel="score (larger: better remembered)")
        axes.legend(fontsize=8)
        style.save(figure, path)
