"""The table that a report begins with: the rows that a reader asks for first, at most eight."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from negmerge.evaluation.uncertainty import SIGNIFICANCE
from negmerge.reporting.compare import NEGMERGE
from negmerge.reporting.findings import CLAIMED, Column, Tables, columns, comparing
from negmerge.reporting.kinds import MERGES
from negmerge.reporting.layout import Heading, value_text
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric
from negmerge.settings.methods import RETRAIN, SINGLE

# A page holds no more of them side by side.
MOST_COLUMNS = 4
NOTES = (
    "The rows are the same for each study: the unchanged model, Retrain, the best single model, "
    "Uniform Merge, NegMerge, the best other merge and the best method that trains, where there "
    "are such. The last two are the best by the first number of a column, so chance favours them. "
    "The columns are the first ones of the tables below that show an experiment, each experiment "
    f"once, and at most {MOST_COLUMNS}.",
    "± is a standard error. Bold is the best of a column of the tables below, and what is not told "
    "apart from it; signs such as † are explained there. NegMerge won or lost where "
    f"p ≤ {SIGNIFICANCE:g} on the same items.",
)


class Row(NamedTuple):
    label: str
    # Of each column: the method's name where the row's label does not say it, then the numbers, and
    # what NegMerge did against it; None where there is no such method.
    cells: list[tuple[str, list[str], str] | None]


class Headline(NamedTuple):
    groups: list[tuple[str, list[Heading]]]  # the columns, each with what is measured
    rows: list[Row]


def headline(tables: Tables) -> Headline | None:
    """Choose the rows and columns as `NOTES` say; None if no table compares scores."""
    scored = comparing([column for column in columns(tables) if column.is_scored and column.rows])
    chosen, seen = [], set()
    for column in scored:
        experiments = {experiment for experiment, _ in column.places}
        if not experiments & seen and len(chosen) < MOST_COLUMNS:
            chosen.append(column)
        seen |= experiments
    groups = [
        (column.name, [_heading(column, metric) for metric in _metrics(column)])
        for column in chosen
    ]
    rows = []
    for label, choose in ROLES.items():
        cells = [_cell(column, choose(column), label) for column in chosen]
        if any(cells):
            rows.append(Row(label, cells))
    return Headline(groups, rows) if rows else None


def _best(*kinds: str) -> Callable[[Column], dict | None]:
    """Return what finds the best row of some kinds that no other row of the table shows."""

    def choose(column: Column) -> dict | None:
        others = [row for row in column.rows if row["method"] not in (*CLAIMED, NEGMERGE)]
        return next((row for row in others if row["kind"] in kinds), None)

    return choose


def _mean(column: Column, method: str, metric: str) -> dict | None:
    cells = column.cells
    here = cells["experiment"].eq(MEAN) & cells["method"].eq(method) & cells["metric"].eq(metric)
    return next(iter(cells[here & cells["row"].notna()].to_dict("records")), None)


# By the label of a row: what finds it in a column.
ROLES: Mapping[str, Callable[[Column], dict | None]] = {
    "Unchanged model": lambda column: column.row(column.scenario.base),
    "Retrain": lambda column: _mean(column, RETRAIN, column.scenario.headline),
    "Best single model": lambda column: column.row(SINGLE),
    "Uniform Merge": lambda column: column.row("uniform"),
    "NegMerge": lambda column: column.row(NEGMERGE),
    "Best other merge": _best(*MERGES),
    "Best method that trains": _best("unlearn"),
}


def _metrics(column: Column) -> list[Metric]:
    """List the headline metric, what is forgotten and what is kept, as far as measured."""
    names = dict.fromkeys((column.scenario.headline, *column.scenario.roles[:2]))
    measured = {metric.name: metric for metric in column.scenario.metrics}
    known = set(column.cells["metric"])
    return [measured[name] for name in names if name in measured and name in known]


def _heading(column: Column, metric: Metric) -> Heading:
    cells = column.cells[column.cells["metric"] == metric.name]
    reference = cells["reference"].dropna()
    spelled = "" if reference.empty else f"{reference.iloc[0]:.2f}"
    return Heading(column.name, metric.label, metric.unit, metric.better, spelled)


def _cell(column: Column, row: dict | None, label: str) -> tuple[str, list[str], str] | None:
    if row is None:
        return None
    cells = [(_mean(column, row["method"], metric.name), metric) for metric in _metrics(column)]
    texts = ["" if cell is None else value_text(cell, metric) for cell, metric in cells]
    is_compared = row["method"] not in (NEGMERGE, RETRAIN) and column.row(NEGMERGE)
    name = row["row"] if label.startswith("Best") and row["method"] != SINGLE else ""
    return name, texts, column.verdict(row) if is_compared else ""
