"""Measurements as a table that grows on a terminal while they are made."""

from typing import TextIO

from negmerge.standalone.coefficients import best, keeps
from negmerge.standalone.measurement import Measurement

CLEAR = "\r\x1b[K"


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
