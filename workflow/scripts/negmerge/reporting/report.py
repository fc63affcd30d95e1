"""The report of a study: one HTML file that needs nothing else."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
import pandas as pd
import yaml
from markupsafe import Markup

from negmerge.errors import UserError, unknown
from negmerge.reporting.dag import parse_rulegraph, svg
from negmerge.reporting.layout import Bold, layout, number
from negmerge.reporting.marks import MARKS, signs
from negmerge.reporting.notes import rule_text
from negmerge.reporting.records import read_record
from negmerge.reporting.runtime import machine, rule_times, software
from negmerge.reporting.tables import read_cells
from negmerge.reporting.verdicts import amounts, verdicts
from negmerge.reporting.writing import heading_text

TEMPLATES = files("negmerge.reporting") / "templates"


def report(
    name: str,
    study: Mapping,
    tables: Iterable[str | Path],
    figures: Iterable[str | Path],
    selected: Iterable[str | Path],
    benchmarks: Iterable[str | Path],
    rulegraph: str,
) -> str:
    """Write the report of a study as HTML.

    Args:
        name: the study's name.
        study: its settings.
        tables: cells of the tables (.csv, named after the table); other endings are left out.
        figures: pictures (.png, named after the figure).
        selected: choices of coefficients (.json).
        benchmarks: Snakemake's benchmark files (.tsv).
        rulegraph: what `snakemake --rulegraph mermaid-js` prints.

    Raises:
        UserError: a table or figure that the study does not have, or a file that cannot be read.
    """
    shown = _tables(study, tables)
    times = rule_times(benchmarks)
    graph = parse_rulegraph(rulegraph)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            name=name,
            study=study,
            pool_sizes={key: pool_size(one["pool"]) for key, one in study["experiments"].items()},
            amounts=amounts(study, shown),
            verdicts=verdicts(shown),
            tables={name: layout(table, cells) for name, (table, cells) in shown.items()},
            figures=_figures(study, figures),
            choices=_choices(selected),
            marks=MARKS.values(),
            settings=yaml.safe_dump(_plain(study), sort_keys=False, allow_unicode=True),
            times=times,
            dag=Markup(svg(graph, {time.rule: time.jobs for time in times})),
            machine=machine(),
            software=software(),
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
        "heading": heading_text,
        "bold": lambda text: isinstance(text, Bold),
        "signs": signs,
        "percent": lambda value: number(value, "%"),
        "rule": lambda choice: f"{choice['rule']}: {rule_text(choice['rule'], choice['keep'])}",
    }
    return environment


def pool_size(pool: Mapping) -> int:
    """Count the points of a pool: all combinations of its grid, or else its single points."""
    size = 1
    for values in pool["grid"].values():
        size *= len(values)
    return size if pool["grid"] else len(pool["points"])


def _tables(study: Mapping, paths: Iterable[str | Path]) -> dict[str, tuple[Mapping, pd.DataFrame]]:
    """Give the definition and the cells of each table."""
    cells = {Path(path).stem: path for path in paths if Path(path).suffix == ".csv"}
    return {
        name: (_entry("table", study["tables"], name), read_cells(path))
        for name, path in cells.items()
    }


def _figures(study: Mapping, paths: Iterable[str | Path]) -> dict[str, dict]:
    """Give each figure's definition with its picture as text that a page can hold."""
    return {
        Path(path).stem: {
            **_entry("figure", study["figures"], Path(path).stem),
            "data": base64.b64encode(Path(path).read_bytes()).decode(),
        }
        for path in paths
    }


def _entry(kind: str, known: Mapping, name: str) -> Mapping:
    if name not in known:
        raise UserError(unknown(kind, name, known))
    return known[name]


def _choices(paths: Iterable[str | Path]) -> dict[str, Sequence[Mapping]]:
    """Read the choices by experiment, in the order of the paths."""
    by_experiment: dict[str, list[Mapping]] = {}
    for path in paths:
        choice = read_record(path)
        by_experiment.setdefault(choice["experiment"], []).append(choice)
    return by_experiment


def _plain(value: object) -> object:
    """Turn mappings and sequences of any kind into those that YAML can write."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return value
