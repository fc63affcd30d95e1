"""Where each number of a table comes from: the files of its records, and what they say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from negmerge.reporting.kinds import table_kind
from negmerge.reporting.metrics import MEAN

if TYPE_CHECKING:
    import pandas as pd

Files = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Record:
    """One experiment and task behind a number: the files, and what they say in words."""

    files: Sequence[str]
    text: str


@dataclass(frozen=True)
class Source:
    """What is behind the numbers of one row in one column of a table."""

    anchor: str  # of the page, for a link to it
    title: str  # row and column
    records: list[Record]  # one, or those of which the numbers are means


def sources(name: str, table: Mapping, cells: pd.DataFrame, files: Files) -> dict[tuple, Source]:
    """Return what is behind the numbers of a table, by the labels of row and column."""
    kind = table_kind(table["kind"])
    single = cells[(cells["experiment"] != MEAN) & cells["row"].notna()]
    groups: dict[tuple, dict[tuple, list[dict]]] = {}
    for cell in single.to_dict("records"):
        places = groups.setdefault((cell["row"], cell["column"]), {})
        places.setdefault((cell["experiment"], cell["task"]), []).append(cell)
    found = {}
    for number, ((row, column), places) in enumerate(groups.items(), 1):
        metrics = kind.metrics_of({cell["metric"] for own in places.values() for cell in own})
        records = [
            Record(
                files.get(f"{experiment}/{task}/{own[0]['method']}", []), _describe(own, metrics)
            )
            for (experiment, task), own in places.items()
        ]
        found[row, column] = Source(f"records-{name}-{number}", f"{row}, {column}", records)
    return found


def _describe(cells: Sequence[Mapping], metrics: Sequence) -> str:
    """Describe the numbers of one record, and the rule that chose the model."""
    from negmerge.reporting.layout import choice_text, value_text

    by_name = {cell["metric"]: cell for cell in cells}
    parts = []
    for metric in metrics:
        cell = by_name.get(metric.name)
        if cell is None or not metric.printed or cell["value"] != cell["value"]:
            continue
        unit = f" {metric.unit}" if metric.unit else ""
        images = f" of {int(cell['images']):,} images" if cell["images"] == cell["images"] else ""
        parts.append(f"{metric.label} {value_text(cell, metric)}{unit}{images}")
    first = cells[0]
    if isinstance(first["rule"], str):
        parts.append(f"chosen by rule `{first['rule']}`: {choice_text(first)}")
    return "; ".join(parts)
