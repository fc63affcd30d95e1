"""Tables: every number of their CSV files, from the scores and counts that it shows.

A cell names its column, row, method and metric, and the experiment and task that it is of; a cell
of `mean` averages the single ones of its column, row and metric. Files hold six digits after the
point, so that is how closely they are compared.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from recomputation.lasting import KIND as LASTING
from recomputation.lasting import expected as expected_of_lasting
from recomputation.lasting import is_lasting
from recomputation.result import Result, same_values
from recomputation.study import Study, read_csv, read_records

MEAN, MISSING = "mean", "NA"
ROUNDING = 1e-6
ROLES = ("retain", "forget", "test", "control")
# What the average gap is the mean of.
GAP_OF = ("retain", "forget", "test", "mia")
COSTS = "measured times and memory in tables"

Cell = Mapping[str, str]
Record = Mapping[str, object]


def check(study: Study) -> Iterator[Result]:
    """Compute the cells of all tables anew."""
    for path in study.tables().values():
        cells = [cell for cell in read_csv(path) if cell["metric"] != "to_forget"]
        for cell in cells:
            yield _compare(study, study.place(path), cell, cells)


def _compare(study: Study, table: str, cell: Cell, cells: Sequence[Cell]) -> Result:
    keys = ("column", "row", "metric", "experiment", "task")
    place = f"{table}: {', '.join(cell[key] for key in keys)}"
    metric = cell["metric"]
    if metric in ("seconds", "memory"):
        return Result(COSTS, place, left_out="they are measured, not computed")
    singles = [cell] if cell["experiment"] != MEAN else singles_of(cell, cells)
    if not singles:
        return Result("means in tables", place, "there is no single cell that it is the mean of")
    if is_lasting(metric):
        known = expected_of_lasting(study, singles, metric) | {"averaged": len(singles)}
        stored = {key: number(cell[key]) for key in known}
        return same_values(f"{LASTING} in tables", place, stored, known, ROUNDING)
    records = [record_of(study, single) for single in singles]
    # A column with gaps compares with Retrain.
    with_gap = any(c["metric"] == "gap" for c in cells if c["column"] == cell["column"])
    retrains = [_score(study, single, "retrain") for single in singles] if with_gap else []
    kind, expected = _expected(metric, records, retrains)
    expected["averaged"] = len(records)
    if len(records) == 1 and cell["coefficient"] != MISSING and cell["criterion"] != MISSING:
        expected["coefficient"] = records[0]["coefficient"]
    if cell["comparable"] == "True" and cell["paper"] != MISSING:
        expected["difference"] = number(cell["value"]) - float(cell["paper"])
    stored = {key: number(cell[key]) for key in expected}
    return same_values(f"{kind} in tables", place, stored, expected, ROUNDING)


def singles_of(cell: Cell, cells: Sequence[Cell]) -> list[Cell]:
    """Return the single cells that a mean is of."""
    keys = ("column", "row", "metric")
    alike = [one for one in cells if all(one[key] == cell[key] for key in keys)]
    return [one for one in alike if one["experiment"] != MEAN]


def number(text: str) -> float | None:
    """Read a number of a CSV file."""
    return None if text == MISSING else float(text)


def record_of(study: Study, cell: Cell) -> Record:
    """Find what a single cell shows: a row of a sweep, or a score and the counts of its vector."""
    if cell["coefficient"] != MISSING and cell["criterion"] == cell["kind"] == MISSING:
        return _swept(study, cell)
    return _counts(study, cell) | _score(study, cell, cell["method"])


def folder_of(study: Study, cell: Cell) -> Path:
    return study.folder / cell["experiment"] / cell["task"]


def record_number(study: Study, cell: Cell, method: str) -> int:
    """Return the place of the record that the cell's rule chose, else that of the main rule."""
    path = folder_of(study, cell) / "scores" / f"{method}.json"
    rules = [record["criterion"] for record in read_records(path)]
    return rules.index(cell["criterion"]) if cell["criterion"] in rules else 0


def _score(study: Study, cell: Cell, method: str) -> dict:
    path = folder_of(study, cell) / "scores" / f"{method}.json"
    if not path.exists():
        return {}
    return read_records(path)[record_number(study, cell, method)]


def _counts(study: Study, cell: Cell) -> dict:
    files = sorted((folder_of(study, cell) / "sparsity").glob("*.json"))
    records = [record for path in files for record in read_records(path)]
    own = [record for record in records if record["method"] == cell["method"]]
    return next(
        (one for one in own if one["criterion"] == cell["criterion"]), own[0] if own else {}
    )


def _swept(study: Study, cell: Cell) -> Record:
    for row in read_csv(folder_of(study, cell) / "sweeps" / f"{cell['method']}.csv"):
        if math.isclose(float(row["coefficient"]), float(cell["coefficient"]), rel_tol=1e-9):
            return {
                role: {what: int(row[f"{role}_{what}"]) for what in ("correct", "n")}
                for role in ROLES
                if f"{role}_n" in row
            }
    raise LookupError(f"no coefficient {cell['coefficient']} in the sweep of {cell['method']}")


def _expected(
    metric: str, records: Sequence[Record], retrains: Sequence[Record]
) -> tuple[str, dict[str, float | None]]:
    """Compute what stands in a cell, and say what kind of number it is."""
    if metric in ROLES or metric.startswith("mia"):
        kind = "membership attacks" if metric.startswith("mia") else "accuracies"
        return kind, _shares(metric, records, retrains)
    if metric == "gap":
        gaps = [gap([one], [retrain]) for one, retrain in zip(records, retrains, strict=True)]
        return "average gaps", {"value": gap(records, retrains), "std": _std(gaps)}
    if metric == "gap_of_trials":
        gaps = [gap([one], [retrain]) for one, retrain in zip(records, retrains, strict=True)]
        return "average gaps", {"value": float(np.mean(gaps)), "std": _std(gaps)}
    if metric == "relearn":
        found = {"value": _relearned(records), "reference": _relearned(retrains)}
        return "relearn times", found
    values = [COUNTED[metric](record) for record in records]
    known = None if None in values else float(np.mean(values))
    std = None if known is None else _std(values)
    return "shares of numbers", {"value": known, "std": std}


def _shares(metric: str, records: Sequence[Record], retrains: Sequence[Record]) -> dict:
    """Average shares of images, with the binomial standard error of their mean."""
    shares, sizes = zip(*(share(record, metric) for record in records), strict=True)
    variances = [p * (1 - p) / n for p, n in zip(shares, sizes, strict=True)]
    expected = {
        "value": 100 * float(np.mean(shares)),
        "std": _std([100 * p for p in shares]),
        "standard_error": 100 * math.sqrt(sum(variances)) / len(records),
    }
    if metric in ROLES:
        expected["images"] = sum(sizes)
    if retrains:
        expected["reference"] = 100 * float(np.mean([share(r, metric)[0] for r in retrains]))
    return expected


def share(record: Record, metric: str) -> tuple[float, int]:
    """Return the share of right answers, or of images that look unseen, and of how many it is."""
    if metric in ROLES:
        return record[metric]["correct"] / record[metric]["n"], record[metric]["n"]
    feature = "confidence" if metric == "mia" else metric.removeprefix("mia_")
    return record["membership"][feature] / 100, record["forget"]["n"]


def gap(records: Sequence[Record], retrains: Sequence[Record]) -> float:
    """Average the distances of the mean measures to those of Retrain, in points."""
    here, there = (
        np.array([[share(one, name)[0] for name in GAP_OF] for one in several]).mean(axis=0)
        for several in (records, retrains)
    )
    return float(100 * np.abs(here - there).mean())


def _std(values: Sequence[float]) -> float | None:
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _relearned(records: Sequence[Record]) -> float | None:
    """Take the median over all seeds; None, longer than it was waited for, is the largest."""
    epochs = [e for record in records for e in record.get("relearn", {}).get("epochs", [])]
    median = np.median([math.inf if e is None else e for e in epochs]) if epochs else math.inf
    return float(median) if math.isfinite(median) else None


def _percent(part: str, whole: str) -> Callable[[Record], float | None]:
    return lambda record: 100 * record[part] / record[whole] if record[whole] else None


COUNTED: dict[str, Callable[[Record], float | None]] = {
    "kept": lambda record: record["kept"],
    "nonzero_in_all": lambda record: record["nonzero_in_all"],
    "zeros_trainable": lambda record: 100 - 100 * record["kept"] / record["trainable"],
    "zeros_state": lambda record: 100 - 100 * record["kept"] / record["state"],
    "kept_trainable": _percent("kept", "trainable"),
    "shrinking": _percent("shrinking", "kept"),
    "agreement": _percent("agreeing", "nonzero_in_all"),
}
