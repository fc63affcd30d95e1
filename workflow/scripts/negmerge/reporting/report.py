"""The report of a study: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
import yaml
from markupsafe import Markup, escape

from negmerge.errors import find
from negmerge.reporting.cells import MARKS, read_cells, signs
from negmerge.reporting.findings import Finding, Tables
from negmerge.reporting.kinds import figure_kind, table_kind
from negmerge.reporting.layout import (
    Bold,
    choice_text,
    code_spans,
    heading_text,
    layout,
    number,
    value_text,
)
from negmerge.reporting.notes import amounts, rule_text, spell_list, verdicts
from negmerge.reporting.records import MEAN, read_records
from negmerge.reporting.runtime import machine, rule_times, software
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Scenario

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
    scenarios = {one["label"]: SCENARIOS[one["scenario"]] for one in table["columns"]}
    single = cells[(cells["experiment"] != MEAN) & cells["row"].notna()]
    groups: dict[tuple, dict[tuple, list[dict]]] = {}
    for cell in single.to_dict("records"):
        places = groups.setdefault((cell["row"], cell["column"]), {})
        places.setdefault((cell["experiment"], cell["task"]), []).append(cell)
    found = {}
    for place, ((row, column), places) in enumerate(groups.items(), 1):
        measured = {cell["metric"] for own in places.values() for cell in own}
        metrics = kind.metrics_of(scenarios[column], measured)
        records = [
            Record(
                files.get(f"{experiment}/{task}/{own[0]['method']}", []), _describe(own, metrics)
            )
            for (experiment, task), own in places.items()
        ]
        found[row, column] = Source(f"records-{name}-{place}", f"{row}, {column}", records)
    return found


def _describe(cells: Sequence[Mapping], metrics: Sequence) -> str:
    """Describe the numbers of one record, and the rule that chose the model."""
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


# Kinds of figures that show in one picture which methods do well, the most telling first.
LEADING_FIGURES = ("tradeoff", "gap")
TEMPLATES = files("negmerge.reporting") / "templates"


def report(
    name: str,
    study: Mapping,
    pool_sizes: Mapping[str, int],
    found: Sequence[Finding],
    tables: Tables,
    files: Mapping[str, Files],
    figures: Iterable[str | Path],
    selected: Iterable[str | Path],
    benchmarks: Iterable[str | Path],
    drawing: str,
) -> str:
    """Write the report of a study as HTML."""
    shown = _figures(study, figures)
    return (
        _environment(study)
        .get_template("report.html.j2")
        .render(
            name=name,
            study=study,
            scenarios=_scenarios(study),
            pool_sizes=pool_sizes,
            found=found,
            first_figure=_first_figure(study, shown),
            figures=shown,
            tables={name: layout(table, cells) for name, (table, cells) in tables.items()},
            sources={
                name: sources(name, table, cells, files.get(name, {}))
                for name, (table, cells) in tables.items()
            },
            amounts=amounts(study, tables),
            verdicts=verdicts(tables),
            choices=_choices(selected),
            marks=MARKS.values(),
            settings=yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True),
            times=rule_times(benchmarks),
            drawing=Markup(drawing),
            machine=machine(),
            software=software(),
            style=Markup((TEMPLATES / "report.css").read_text()),
        )
    )


def _environment(study: Mapping) -> jinja2.Environment:
    experiments = study["experiments"]

    def describe_rule(choice: Mapping) -> str:
        scenario = SCENARIOS[experiments[choice["experiment"]]["scenario"]]
        return rule_text(scenario, choice["rule"], choice["keep"])

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (TEMPLATES / name).read_text()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "spell": spell_list,
        "heading": heading_text,
        "bold": lambda text: isinstance(text, Bold),
        "signs": signs,
        "percent": lambda value: number(value, "%"),
        "rule": lambda choice: f"{choice['rule']}: {describe_rule(choice)}",
    }
    return environment


def _scenarios(study: Mapping) -> dict[str, Scenario]:
    """Return the scenario of each experiment."""
    return {name: SCENARIOS[one["scenario"]] for name, one in study["experiments"].items()}


def read_tables(study: Mapping, paths: Iterable[str | Path]) -> Tables:
    """Read the tables of a study: the definition and the cells of each, by name."""
    cells = {Path(path).stem: path for path in paths if Path(path).suffix == ".csv"}
    return {
        name: (find("table", name, study["tables"]), read_cells(path))
        for name, path in cells.items()
    }


def _code(text: str) -> Markup:
    """Escape a text; what stands between backticks becomes code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if is_code else escape(piece)
        for piece, is_code in code_spans(text)
    )


def _figures(study: Mapping, paths: Iterable[str | Path]) -> dict[str, dict]:
    """Return each figure's definition and caption, and its picture as text that a page can hold."""
    found = {}
    for path in map(Path, paths):
        figure = find("figure", path.stem, study["figures"])
        found[path.stem] = {
            "title": figure["title"],
            "caption": figure_kind(figure["kind"]).caption,
            "data": base64.b64encode(path.read_bytes()).decode(),
        }
    return found


def _first_figure(study: Mapping, figures: Iterable[str]) -> str | None:
    """Return the figure that tells most: the first of a leading kind, else the first of all."""
    names = list(figures)
    of_kind = {study["figures"][name]["kind"]: name for name in reversed(names)}
    leading = (of_kind[kind] for kind in LEADING_FIGURES if kind in of_kind)
    return next(leading, names[0] if names else None)


def _choices(paths: Iterable[str | Path]) -> dict[str, Sequence[Mapping]]:
    """Read the choices by experiment, in the order of the paths."""
    by_experiment: dict[str, list[Mapping]] = {}
    for path in paths:
        for choice in read_records(path):
            by_experiment.setdefault(choice["experiment"], []).append(choice)
    return by_experiment
