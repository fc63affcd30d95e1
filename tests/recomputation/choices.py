"""Choices: which coefficient, or which trained model, a rule takes by the sweep on disk.

`control` and `retain`: of what keeps the share `keep` of the base's accuracy on the role of that
name, what forgets most; a forget accuracy of 1 is never taken. `gap`: the smallest mean distance to
Retrain over all metrics. Among equals the smaller coefficient, then the first name.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recomputation.result import Result, same_values
from recomputation.study import Study, Task, read_csv, read_records

SEARCHED = "choices by a pruned search"
# What is said of a choice that only a whole sweep tells.
OF_A_GRID = ("tried", "lower_end", "upper_end")
LABELS = ("experiment", "task", "vector", "coefficient", "criteria")
# Percent, in which two orders of the same sum may differ.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Row:
    """A row of a sweep: percent by metric, and 0..1 of the accuracies among them."""

    vector: str
    coefficient: float
    shares: dict[str, float]
    percents: dict[str, float]
    options: dict[str, str]
    rules: list[str]

    @property
    def kept(self) -> float:
        return self.shares["control" if "control" in self.shares else "retain"]

    def gap(self, reference: "Row") -> float:
        """Average the distances to Retrain, in points."""
        distances = [abs(value - reference.percents[name]) for name, value in self.percents.items()]
        return math.fsum(distances) / len(distances)


def check(study: Study) -> Iterator[Result]:
    """Choose anew by each rule, for each method, among what was measured for it."""
    for task in study.tasks():
        for name, path in task.files("selected", "json").items():
            for stored in read_records(path):
                # Where there was nothing to choose, there is no rule.
                if stored["criterion"]:
                    yield _compare(study, task, name, path, stored)


def _compare(study: Study, task: Task, name: str, path: Path, stored: dict) -> Result:
    rule, place = stored["criterion"], study.place(path)
    sweep = task.files("sweeps", "csv").get(name)
    if sweep is None:
        return Result(f"choices by rule {rule}", place, left_out="its sweep is not there")
    rows = read_rows(sweep)
    retrain = read_rows(task.folder / "sweeps" / "retrain.csv")[0] if rule == "gap" else None
    expected = choose(rows, rule, stored["keep"], retrain)
    kind = f"choices by rule {rule}"
    if stored.get("passes") != stored.get("passes_full"):
        # What a pruned search has counted whole: the base and the choice.
        kind = SEARCHED
        expected = {key: expected[key] for key in expected if key not in OF_A_GRID}
    return same_values(kind, f"{place}: {rule}", stored, expected, ROUNDING)


def read_rows(path: Path) -> list[Row]:
    """Read a sweep."""
    return [_row(row) for row in read_csv(path)]


def _row(row: dict[str, str]) -> Row:
    options = {key: text for key, text in row.items() if key.startswith("option_") and text}
    roles = [key[:-2] for key in row if key.endswith("_n") and row[key] and key not in options]
    shares = {role: int(row[f"{role}_correct"]) / int(row[f"{role}_n"]) for role in roles}
    used = {*LABELS, *options, *(f"{role}_{what}" for role in roles for what in ("correct", "n"))}
    further = {key: float(text) for key, text in row.items() if key not in used and text}
    percents = {role: 100 * share for role, share in shares.items()} | further
    coefficient = float(row["coefficient"])
    return Row(row["vector"], coefficient, shares, percents, options, row["criteria"].split())


def choose(rows: Sequence[Row], rule: str, keep: float, retrain: Row | None) -> dict:
    """Choose among rows, and say what stands in the file of a choice."""
    gone = {row.vector for row in rows if not row.shares}
    bases = [row for row in rows if row.coefficient == 0]
    base = min(bases, key=lambda row: (row.vector in gone, row.vector))
    allowed = [row for row in rows if rule in row.rules]
    measured = [row for row in allowed if row.vector not in gone]
    if gone and not any(row.coefficient for row in measured):
        return {"vector": None, "coefficient": 0.0, "control_baseline": 100 * base.kept}
    if retrain is not None:
        ranked = sorted(measured, key=lambda r: (r.gap(retrain), r.coefficient, r.vector))
    else:
        fit = [r for r in measured if r.kept >= keep * base.kept and r.shares["forget"] != 1]
        # Where nothing qualifies it is the base, or else the only model that was trained.
        ranked = sorted(fit, key=lambda r: (r.shares["forget"], r.coefficient, r.vector)) or sorted(
            measured, key=lambda r: (r.coefficient, r.vector)
        )
    found = ranked[0] if ranked else base
    lower, upper = _ends(found, rows)
    return {
        "vector": found.vector,
        "coefficient": found.coefficient,
        "forget_accuracy": 100 * found.shares["forget"],
        "control_accuracy": 100 * found.kept,
        "control_baseline": 100 * base.kept,
        "gap": None if retrain is None else found.gap(retrain),
        "tried": sum(row.coefficient != 0 for row in allowed),
        "unchanged": found.coefficient == 0,
        "lower_end": lower,
        "upper_end": upper,
    }


def _ends(found: Row, rows: Sequence[Row]) -> tuple[bool, bool]:
    """Whether a coefficient of at least two, or an option of at least three, is an extreme one."""
    if found.coefficient == 0:
        return False, False
    if not found.options:
        tried = {row.coefficient for row in rows if row.vector == found.vector} - {0.0}
        return tuple(len(tried) > 1 and found.coefficient == end(tried) for end in (min, max))
    lower = upper = False
    for name, text in found.options.items():
        texts = {row.options[name] for row in rows if row.coefficient}
        try:
            tried = {float(one) for one in texts}
        except ValueError:
            continue
        if len(tried) > 2:
            lower, upper = lower or float(text) == min(tried), upper or float(text) == max(tried)
    return lower, upper
