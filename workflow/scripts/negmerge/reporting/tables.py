"""The cells of a table: means over experiments and tasks, beside the paper's cells."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from negmerge.errors import UserError
from negmerge.files import write_text
from negmerge.reporting.published import NOT_KNOWN, paper_cell

# What stands in the columns `experiment` and `task` of a cell that is a mean over both.
MEAN = "mean"
COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "experiment", "task", "value",
    "standard_error", "std", "averaged", "images", "coefficient", "upper_end", "rule", "keep",
    "models", "trainable", "state", "paper", "comparable", "difference",
)  # fmt: skip
# Numbers among them are lists where a cell averages over records that differ in them.
TEXT_COLUMNS = (
    "column", "row", "method", "metric", "unit", "better", "experiment", "task", "coefficient",
    "rule", "keep", "models", "trainable", "state",
)  # fmt: skip
# Six digits after the point: far below any standard error, and free of the last bits that differ
# between machines.
DIGITS = 6


@dataclass(frozen=True)
class Metric:
    """What a cell measures.

    Attributes:
        name: as in the files of published cells.
        label: for people.
        unit: `%`, or nothing for a count.
        better: `lower`, `higher`, or nothing where neither is.
    """

    name: str
    label: str
    unit: str
    better: str


METRICS = {
    "accuracy": (
        Metric("forget", "forget accuracy", "%", "lower"),
        Metric("control", "control accuracy", "%", "higher"),
    ),
    "sparsity": (
        Metric("zeros_trainable", "zeros among the trainable weights", "%", ""),
        Metric("zeros_state", "zeros in the whole image encoder", "%", ""),
        Metric("kept", "numbers kept", "", ""),
    ),
}


@dataclass(frozen=True)
class Measured:
    """One number of one record: its value, its variance and the images behind it, if it has any."""

    value: float
    variance: float | None
    images: int | None


def cells(
    table: Mapping, records: Iterable[Mapping], published: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Compute the cells of a table, in the order of its columns, rows and metrics.

    Of each column, row and metric there is the mean over the column's experiments and tasks
    (`mean` in both columns), and then each single cell. Accuracies are in percent, and
    their standard error is the binomial one of finite test sets, in points:
    sqrt(sum p (1 - p) / n) / k for the mean of k accuracies p on n images. `std` is over the k
    cells (divisor k - 1). What there is not, is missing.

    Args:
        table: the definition of the table, as in a study.
        records: scores (kind `accuracy`) or counts of zeros (kind `sparsity`).
        published: the paper's cells by file, from `read_published`.

    Raises:
        UserError: two columns or rows have the same label, a record is missing, stands twice or
            has no images, or the paper's cells cannot be looked up.
    """
    _check_labels([column["label"] for column in table["columns"]])
    _check_labels(list(table["rows"].values()))
    found = _by_place(records)
    rows = []
    for column in table["columns"]:
        places = _places(column, found)
        for method, label in table["rows"].items():
            here = [_record(found, column["label"], (*place, method)) for place in places]
            for metric in METRICS[table["kind"]]:
                labels = {
                    "column": column["label"],
                    "row": label,
                    "method": method,
                    "metric": metric.name,
                    "unit": metric.unit,
                    "better": metric.better or None,
                }
                mean = {"experiment": MEAN, "task": MEAN} | _summary(here, metric)
                mean |= _paper(column["published"], published, label, metric, mean["value"])
                rows.append(labels | mean)
                rows += [
                    labels
                    | {"experiment": record["experiment"], "task": record["task"]}
                    | _summary([record], metric)
                    for record in here
                ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def write_cells(path: str | Path, frame: pd.DataFrame) -> None:
    """Write cells as CSV, with `NA` for what is missing."""
    text = frame.astype(object).to_csv(index=False, na_rep=NOT_KNOWN, lineterminator="\n")
    write_text(path, text)


def read_cells(path: str | Path) -> pd.DataFrame:
    """Read what `write_cells` wrote."""
    text = dict.fromkeys(TEXT_COLUMNS, str)
    return pd.read_csv(path, dtype=text, keep_default_na=False, na_values=[NOT_KNOWN])


def _check_labels(labels: Sequence[str]) -> None:
    """Refuse equal labels: cells are told apart by them."""
    for label in labels:
        if labels.count(label) > 1:
            raise UserError(f"a table has the label {label!r} twice, expected different labels")


def _by_place(records: Iterable[Mapping]) -> dict[tuple[str, str, str], Mapping]:
    """Order records by experiment, task and method."""
    found = {}
    for record in records:
        place = (record["experiment"], record["task"], record["method"])
        if place in found:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        found[place] = record
    return found


def _places(column: Mapping, found: Mapping) -> list[tuple[str, str]]:
    """List the experiments and tasks of a column; without tasks, all that there are."""
    places = []
    for experiment in column["experiments"]:
        present = sorted({task for name, task, _ in found if name == experiment})
        places += [(experiment, task) for task in column["tasks"] or present]
    if not places:
        raise UserError(f"column {column['label']!r}: no records of {column['experiments']}")
    return places


def _record(found: Mapping, column: str, place: tuple[str, str, str]) -> Mapping:
    if place not in found:
        raise UserError(f"column {column!r}: no record of {'/'.join(place)}")
    return found[place]


def _measure(record: Mapping, metric: Metric) -> Measured:
    """Read one metric of one record."""
    if metric.name == "kept":
        return Measured(record["kept"], None, None)
    if metric.name.startswith("zeros_"):
        of = record[metric.name.removeprefix("zeros_")]
        return Measured(100 * (1 - record["kept"] / of), None, None)
    correct, n = record[metric.name]["correct"], record[metric.name]["n"]
    if not 0 <= correct <= n or n == 0:
        place = "/".join((record["experiment"], record["task"], record["method"]))
        raise UserError(f"score of {place}: {metric.name}: {correct} right of {n} images")
    share = correct / n
    return Measured(100 * share, 100**2 * share * (1 - share) / n, n)


def _summary(records: Sequence[Mapping], metric: Metric) -> dict:
    """Average one metric over records, with where the number comes from."""
    measured = [_measure(record, metric) for record in records]
    values = [one.value for one in measured]
    mean = statistics.fmean(values)
    chosen = [record for record in records if _coefficient(record) is not None]
    summary = {
        "value": round(mean, DIGITS),
        "std": round(statistics.stdev(values), DIGITS) if len(values) > 1 else None,
        "averaged": len(values),
        "coefficient": _join(_coefficient(record) for record in records),
        "upper_end": any(record.get("upper_end", False) for record in records),
        "rule": _join(_distinct(chosen, "rule")),
        "keep": _join(_distinct(chosen, "keep")),
        "models": _join(_distinct(records, "models")),
        "trainable": _join(_distinct(records, "trainable")),
        "state": _join(_distinct(records, "state")),
    }
    if measured[0].variance is not None:
        error = math.sqrt(sum(one.variance for one in measured)) / len(measured)
        summary["standard_error"] = round(error, DIGITS)
        summary["images"] = sum(one.images for one in measured)
    return summary


def _coefficient(record: Mapping) -> str | None:
    """Spell a record's coefficient; a model that nothing was subtracted from has none."""
    none = record.get("vector") is None or record.get("coefficient") is None
    return None if none else f"{record['coefficient']:.10g}"


def _distinct(records: Iterable[Mapping], key: str) -> list[str]:
    """List the values of a key in the order in which they first occur."""
    return list(dict.fromkeys(str(record[key]) for record in records if key in record))


def _join(texts: Iterable[str | None]) -> str | None:
    return " ".join(text for text in texts if text is not None) or None


def _paper(
    published: Mapping | None,
    frames: Mapping[str, pd.DataFrame],
    row: str,
    metric: Metric,
    value: float,
) -> dict:
    """Give the paper's cell and how far ours lies above it, where both are known."""
    if published is None:
        return {}
    cell = paper_cell(frames, published, row, metric.name)
    compare = published["comparable"] and cell is not None
    return {
        "paper": cell,
        "comparable": published["comparable"],
        "difference": round(value - cell, DIGITS) if compare else None,
    }
