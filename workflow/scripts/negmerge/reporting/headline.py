"""What a report begins with: a table of at most eight rows, and the trade-off to point at."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from negmerge.evaluation.uncertainty import SIGNIFICANCE
from negmerge.reporting import style, sweeps
from negmerge.reporting.compare import NEGMERGE
from negmerge.reporting.figures.tradeoff import limits
from negmerge.reporting.findings import CLAIMED, Column, Tables, columns, comparing
from negmerge.reporting.kinds import MERGES
from negmerge.reporting.layout import Heading, value_text
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric
from negmerge.settings.methods import RETRAIN, SINGLE

if TYPE_CHECKING:
    import pandas as pd

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


# Signs that look like the markers of `style`.
SIGNS = dict(zip(style.MARKERS, "●■▲◆▼✚✖⬟", strict=True))
MOST_TICKS = 6


class Point(NamedTuple):
    left: float  # of the panel, in percent
    top: float
    text: str
    is_chosen: bool


class Line(NamedTuple):
    label: str
    look: int | None  # the number of the method in `key`; None for a single model
    path: str  # for an SVG of 1000 by 1000
    points: list[Point]  # those in sight; a single model has none


class Panel(NamedTuple):
    title: str
    lines: list[Line]
    base: Point
    threshold: float
    across: list[tuple[float, str]]  # ticks: place in percent, and text
    up: list[tuple[float, str]]


def chart_key(methods: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List the label, colour and sign of each method."""
    looks = style.styles(methods)
    return [(label, looks[m]["color"], SIGNS[looks[m]["marker"]]) for m, label in methods.items()]


def panels(methods: Mapping[str, str], data: pd.DataFrame) -> Iterator[Panel]:
    """Yield the panels of a figure of kind `tradeoff`; a reader points at its coefficients."""
    several = data["experiment"].nunique() > 1
    for (experiment, task), panel in style.places(data):
        across, up = limits(panel)
        panel = panel.assign(
            left=_percent(panel["control"], across), top=_percent(panel["forget"], up[::-1])
        )
        lines = panel.groupby(["series", "vector"], sort=False)
        base = panel[panel["coefficient"] == 0].iloc[0]
        yield Panel(
            title=f"{experiment}: {task}" if several else task,
            lines=[_line(series, list(methods), line) for (series, _), line in lines],
            base=_point(base, "base"),
            threshold=_percent(panel["threshold"].iloc[0], across),
            across=[(_percent(tick, across), f"{tick:g}") for tick in _ticks(*across)],
            up=[(_percent(tick, up[::-1]), f"{tick:g}") for tick in _ticks(*up)],
        )


def _percent(value, ends: tuple[float, float]):
    return round(100 * (value - ends[0]) / (ends[1] - ends[0]), 1)


def _line(series: str, methods: list[str], line: pd.DataFrame) -> Line:
    is_seen = line["left"].between(0, 100)
    # What is out of sight is needed only beside what is in sight, to lead there.
    near = line[is_seen.rolling(3, center=True, min_periods=1).max().eq(1)]
    places = zip(near["left"], near["top"], strict=True)
    path = " ".join(f"{10 * left:.0f},{10 * top:.0f}" for left, top in places)
    if series == sweeps.SINGLE:
        return Line(f"{line['vector'].iloc[0]}, a single model", None, path, [])
    label = line["label"].iloc[0]
    # All lines begin at the base, which is a point of its own.
    shown = line[is_seen & (line["coefficient"].ne(0) | line["chosen"])]
    points = [
        _point(row, f"{label}, coefficient {row['coefficient']:g}") for _, row in shown.iterrows()
    ]
    return Line(label, methods.index(series), path, points)


def _point(row: pd.Series, name: str) -> Point:
    text = f"{name}: control {row['control']:.2f} %, forget {row['forget']:.2f} %"
    is_chosen = row["series"] != sweeps.SINGLE and row["chosen"]
    return Point(row["left"], row["top"], text, bool(is_chosen))


def _ticks(low: float, high: float) -> list[float]:
    """List the multiples of 1, 2 or 5 times a power of ten in a range, a few of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= MOST_TICKS)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
