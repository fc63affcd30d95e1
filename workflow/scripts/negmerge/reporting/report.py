"""The report of a study: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup, escape

from negmerge.errors import find
from negmerge.reporting.cells import read_cells
from negmerge.reporting.findings import Finding, Tables
from negmerge.reporting.headline import NOTES, chart_key, headline, panels
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
from negmerge.reporting.notes import spell_criterion
from negmerge.reporting.records import FOOTNOTES, MEAN, TO_FORGET, read_records, signs
from negmerge.reporting.runtime import machine, rule_times, software
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Metric, Scenario
from negmerge.seeds import first_of

# Kinds of figures that show in one picture which methods do well, the most telling first.
LEADING_FIGURES = ("tradeoff", "gap")
# The most bytes of an interactive figure; its further panels are in the picture alone.
MOST_BYTES = 36_000
FIRST_ALONE = " It is drawn for the first seed alone."
TEMPLATES = files("negmerge.reporting") / "templates"
Files = Mapping[str, Sequence[str]]


class Source(NamedTuple):
    """What is behind the numbers of one row in one column of a table."""

    anchor: str  # of the page, for a link to it
    title: str  # row and column
    # The files of each experiment and task, and what they say in words.
    records: list[tuple[Sequence[str], str]]


def sources(name: str, table: Mapping, cells: pd.DataFrame, files: Files) -> dict[tuple, Source]:
    """Return what is behind the numbers of a table, by the labels of row and column."""
    kind = table_kind(table["kind"])
    scenarios = {column["label"]: kind.scenario(column) for column in table["columns"]}
    single = cells[(cells["experiment"] != MEAN) & cells["row"].notna()]
    by_place = {}
    for (row, column), own in single.groupby(["row", "column"], sort=False):
        metrics = kind.metrics_of(scenarios[column], set(own["metric"]))
        records = []
        for place, of_task in own.groupby(["experiment", "task"], sort=False):
            paths = files.get("/".join((*place, of_task["method"].iloc[0])), [])
            text = _describe(of_task.to_dict("records"), metrics, scenarios[column].items)
            records.append((paths, text))
        anchor = f"records-{name}-{len(by_place) + 1}"
        by_place[row, column] = Source(anchor, f"{row}, {column}", records)
    return by_place


def _describe(cells: Sequence[Mapping], metrics: Sequence[Metric], items: str) -> str:
    """Describe the numbers of one record, and the criterion that chose the model."""
    by_name, parts = {cell["metric"]: cell for cell in cells}, []
    for metric in metrics:
        cell = by_name.get(metric.name)
        # NaN is unlike itself.
        if cell and metric.printed and cell["value"] == cell["value"]:
            parts.append(
                " ".join(filter(None, (metric.label, value_text(cell, metric), metric.unit)))
            )
            if cell["images"] == cell["images"]:
                parts[-1] += f" of {int(cell['images']):,} {items}"
    if isinstance(cells[0]["criterion"], str):
        parts.append(f"chosen by criterion `{cells[0]['criterion']}`: {choice_text(cells[0])}")
    return "; ".join(parts)


def report(
    name: str,
    study: Mapping,
    pool_sizes: Mapping[str, int],
    findings: Sequence[Finding],
    tables: Tables,
    files: Mapping[str, Files],
    figures: Iterable[str | Path],
    selected: Iterable[str | Path],
    benchmarks: Iterable[str | Path],
    drawing: str,
) -> str:
    scenarios = {
        key: SCENARIOS[settings["scenario"]] for key, settings in study["experiments"].items()
    }
    figures = list(map(Path, figures))
    shown = _figures(study, (path for path in figures if path.suffix == ".png"))
    firsts = {key: row for key, row in study["experiments"].items() if first_of(key) == key}
    study = {**study, "experiments": firsts}
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda template: (TEMPLATES / template).read_text()),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "code": _code,
        "heading": heading_text,
        "bold": lambda text: isinstance(text, Bold),
        "signs": signs,
        "percent": lambda value: number(value, "%"),
    }
    first_figure = _first_figure(study, shown)
    charts, panels_left, looks = [], 0, []
    for file in figures:
        is_live = study["figures"][file.stem]["kind"] == LEADING_FIGURES[0]
        if is_live and (file.stem, file.suffix) == (first_figure, ".csv"):
            methods = study["figures"][first_figure]["methods"]
            charts, panels_left = _charts(environment, methods, file)
            looks = chart_key(methods)
    return environment.get_template("report.html.j2").render(
        name=name,
        study=study,
        scenarios=scenarios,
        pool_sizes=pool_sizes,
        findings=findings,
        headline=headline(tables),
        headline_notes=NOTES,
        first_figure=first_figure,
        charts=charts,
        panels_left=panels_left,
        looks=looks,
        figures=shown,
        tables={
            key: (layout(table, cells), sources(key, table, cells, files.get(key, {})))
            for key, (table, cells) in tables.items()
        },
        amounts={key: _amounts(key, tables) for key in scenarios},
        choices=_choices(scenarios, selected),
        footnotes=FOOTNOTES.values(),
        settings=yaml.safe_dump(dict(study), sort_keys=False, allow_unicode=True),
        times=rule_times(benchmarks),
        drawing=Markup(drawing),
        machine=machine(),
        software=software(),
        style=Markup((TEMPLATES / "report.css").read_text()),
    )


def read_tables(study: Mapping, paths: Iterable[str | Path]) -> Tables:
    """Read the tables of a study: the definition and the cells of each, by name."""
    return {
        path.stem: (find("table", path.stem, study["tables"]), read_cells(path))
        for path in map(Path, paths)
        if path.suffix == ".csv"
    }


def _code(text: str) -> Markup:
    """Escape a text; what stands between backticks becomes code."""
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if is_code else escape(piece)
        for piece, is_code in code_spans(text)
    )


def _amounts(experiment: str, tables: Tables) -> dict[str, str]:
    """Say how many points there are to forget in each task of an experiment, where it is known."""
    return {
        cell["task"]: f"{cell['value']:.2f} ± {cell['standard_error']:.2f}"
        for _, cells in tables.values()
        for cell in cells[cells["metric"].eq(TO_FORGET)].to_dict("records")
        if cell["experiment"] == experiment
    }


def _figures(study: Mapping, paths: Iterable[str | Path]) -> dict[str, dict]:
    """Return each figure's title, caption, and picture as text that a page can hold."""
    shown, repeated = {}, [name for name in study["experiments"] if first_of(name) != name]
    for path in map(Path, paths):
        figure = find("figure", path.stem, study["figures"])
        data = base64.b64encode(path.read_bytes()).decode()
        kind = figure_kind(figure["kind"])
        has_seeds = any(first_of(name) in figure["experiments"] for name in repeated)
        caption = kind.caption + FIRST_ALONE * (has_seeds and not kind.averages)
        shown[path.stem] = {"title": figure["title"], "caption": caption, "data": data}
    return shown


def _first_figure(study: Mapping, names: Iterable[str]) -> str | None:
    """Return the figure that tells most: the first of a leading kind, else the first of all."""
    kinds = {name: study["figures"][name]["kind"] for name in names}
    leading = [name for kind in LEADING_FIGURES for name in kinds if kinds[name] == kind]
    return next(iter([*leading, *kinds]), None)


def _charts(
    environment: jinja2.Environment, methods: Mapping[str, str], file: Path
) -> tuple[list[Markup], int]:
    """Write the panels of a trade-off that a page holds, and count those that are left out."""
    drawn = list(panels(methods, pd.read_csv(file)))
    print_panel = environment.get_template("chart.html.j2").module.print_panel
    shown, size = [], 0
    for place, panel in enumerate(drawn):
        text = print_panel(panel, place)
        size += len(text.encode())
        if size > MOST_BYTES:
            break
        shown.append(text)
    return shown, len(drawn) - len(shown)


def _choices(
    scenarios: Mapping[str, Scenario], paths: Iterable[str | Path]
) -> dict[str, tuple[list[dict], dict[str, str]]]:
    """Return the choices of each experiment, and the criteria among them in words."""
    choices: dict[str, tuple[list[dict], dict[str, str]]] = {}
    for choice in (choice for path in paths for choice in read_records(path)):
        of_experiment, criteria = choices.setdefault(choice["experiment"], ([], {}))
        of_experiment.append(choice)
        if choice["vector"] is not None:
            scenario = scenarios[choice["experiment"]]
            criterion = choice["criterion"]
            by = choice.get("by", criterion)
            criteria[criterion] = spell_criterion(scenario, by, choice["keep"])
    return choices
