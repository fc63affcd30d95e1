"""The report of a study: one HTML file that needs nothing else."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
import yaml
from markupsafe import Markup, escape

from negmerge.errors import find
from negmerge.reporting.cells import read_cells
from negmerge.reporting.findings import Finding
from negmerge.reporting.kinds import figure_kind
from negmerge.reporting.layout import Bold, layout, number
from negmerge.reporting.leading import Tables
from negmerge.reporting.marks import MARKS, signs
from negmerge.reporting.notes import rule_text, spell_list
from negmerge.reporting.records import read_records
from negmerge.reporting.runtime import machine, rule_times, software
from negmerge.reporting.sources import Files, sources
from negmerge.reporting.verdicts import amounts, verdicts
from negmerge.reporting.writing import code_spans, heading_text

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
        _environment()
        .get_template("report.html.j2")
        .render(
            name=name,
            study=study,
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


def _environment() -> jinja2.Environment:
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
        "rule": lambda choice: f"{choice['rule']}: {rule_text(choice['rule'], choice['keep'])}",
    }
    return environment


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
