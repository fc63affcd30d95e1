"""The trade-off as parts of a page: a reader points at a coefficient, or goes to it by keys."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from negmerge.reporting import style
from negmerge.reporting.figures.tradeoff import limits
from negmerge.reporting.sweeps import SINGLE

if TYPE_CHECKING:
    import pandas as pd

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


def key(methods: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List the label, colour and sign of each method."""
    looks = style.styles(methods)
    return [(label, looks[m]["color"], SIGNS[looks[m]["marker"]]) for m, label in methods.items()]


def panels(methods: Mapping[str, str], data: pd.DataFrame) -> Iterator[Panel]:
    """Yield the panels of a figure of kind `tradeoff` from its CSV file."""
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
    if series == SINGLE:
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
    is_chosen = row["series"] != SINGLE and row["chosen"]
    return Point(row["left"], row["top"], text, bool(is_chosen))


def _ticks(low: float, high: float) -> list[float]:
    """List the multiples of 1, 2 or 5 times a power of ten in a range, a few of them."""
    power = 10.0 ** math.floor(math.log10((high - low) / MOST_TICKS))
    step = next(m * power for m in (1, 2, 5, 10) if (high - low) / (m * power) <= MOST_TICKS)
    return [n * step for n in range(math.ceil(low / step), math.floor(high / step) + 1)]
