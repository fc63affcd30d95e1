"""The notes below a table: what is averaged, what marks mean, how coefficients were chosen."""

from collections.abc import Mapping, Sequence

import pandas as pd

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.marks import MARKS
from negmerge.reporting.metrics import MEAN
from negmerge.reporting.published import is_second_hand
from negmerge.reporting.scores import scores_of
from negmerge.reporting.verdicts import comparison_notes

NOT_COMPARABLE = " ‡"
COPIED = "*"
RULES = {
    "retain": "among the coefficients that keep at least {keep} of the original's retain accuracy, "
    "the one with the lowest forget accuracy, both on training images; among equals the smallest",
    "gap": "the one with the smallest average gap to Retrain, on forget, retain and test images; "
    "it needs Retrain and test data, which nobody has who must forget",
    "control": "among the coefficients that keep at least {keep} of the base's control accuracy, "
    "the one with the lowest forget accuracy, both on validation images; among equals the smallest",
}


def rule_text(rule: str, keep: float, texts: Mapping[str, str] = RULES) -> str:
    """Describe how a coefficient was chosen."""
    return texts.get(rule, "rule `{rule}`, keeping {keep}").format(
        rule=rule, keep=f"{100 * keep:.4g} %"
    )


def chance_of_agreement(models: int) -> float:
    """Return how often random signs of K models are all + or all -: 100 * 2^(1 - K) percent."""
    return 100 * 2.0 ** (1 - models)


def spell_chance(models: int) -> str:
    """Spell how often random signs of K models are all + or all -, and why."""
    return f"{chance_of_agreement(models):.3g} % = 2^(1 - {models})"


def notes(table: Mapping, cells: pd.DataFrame) -> list[str]:
    """List the notes of a table."""
    kind = table_kind(table["kind"])
    rows = cells[cells["row"].notna()]
    scores = scores_of(set(rows["metric"]))
    items = f"{kind.images} {scores.items if scores else kind.items}".strip()
    lines = [_averaged(column["label"], rows, items) for column in table["columns"]]
    lines += comparison_notes(table, cells)
    lines += kind.notes(table, rows)
    # The rows of a sweep are not named after its methods alone.
    lines += diverged_notes(rows.assign(row=rows["method"].map(table["rows"])))
    if (rows["averaged"] > 1).any():
        lines.append(
            "std: standard deviation (divisor k - 1) over the cells that are averaged; the single "
            "cells are in the CSV file."
        )
    lines += [*table.get("differs", []), *_paper_notes(table, kind.about_paper, rows)]
    return lines + ([table["note"]] if table.get("note") else [])


def _averaged(label: str, cells: pd.DataFrame, items: str) -> str:
    """Return over which experiments and tasks a column averages, and on how many items."""
    column = cells[(cells["column"] == label) & (cells["experiment"] != MEAN)]
    # A row without a model has no images.
    counted = column[column["images"].notna()]
    one = column[column["row"] == (column if counted.empty else counted)["row"].iloc[0]]
    places = (one["experiment"] + "/" + one["task"]).drop_duplicates()
    what = f"mean of {len(places)} cells, " if len(places) > 1 else ""
    text = f"{label}: {what}{', '.join(places)}"
    counts = [
        f"{int(n):,} {metric.replace('_', ' ')}"
        for metric, n in one.groupby("metric", sort=False)["images"].sum().items()
        if n
    ]
    return f"{text}; {spell_list(counts)} {items}." if counts else f"{text}."


def spell_list(texts: Sequence[str]) -> str:
    """Spell several things as one says them: `a, b and c`."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), *texts[-1:])))


def diverged_notes(cells: pd.DataFrame) -> list[str]:
    """Name the points and trained models that diverged, and say how many remained, if known."""
    single = cells[(cells["experiment"] != MEAN) & cells[DIVERGED].notna()]
    found: dict[str, list[str]] = {}
    for cell in single.drop_duplicates(["experiment", "task", "row"]).to_dict("records"):
        names = cell[DIVERGED].split()
        text = (
            f"{cell['experiment']}/{cell['task']}: left out, since their training diverged: "
            f"{', '.join(names)}; {_remaining(cell, len(names))}"
        )
        found.setdefault(text, []).append(cell["row"])
    return [f"{text} {spell_list(list(dict.fromkeys(rows)))}." for text, rows in found.items()]


def _remaining(cell: Mapping, gone: int) -> str:
    """Say how many models remain for a method, whose name is to follow."""
    if pd.isna(cell["models"]):
        return "missing from"
    # Of the grid of a method that trains, or of the pool.
    is_grid = cell["kind"] == "unlearn"
    remain = int(cell["tried"]) - gone if is_grid else int(cell["models"])
    return f"{remain} of {remain + gone} models remain for"


def error_note(finite: str, cells: pd.DataFrame) -> str:
    """Describe what the standard error of accuracies is."""
    shared = (
        ", and where averaged cells share images (the control set, several seeds) it is too small."
    )
    return (
        f"±: standard error from {finite}, sqrt(Σ p (1 - p) / n) / k for the mean of k "
        "accuracies p on n images each, in percentage points. It leaves out the spread between "
        f"training runs{shared if (cells['averaged'] > 1).any() else '.'}"
    )


def choice_notes(cells: pd.DataFrame, texts: Mapping[str, str] = RULES) -> list[str]:
    """Describe by which rules was chosen, and what the marks at numbers mean."""
    single = cells[cells["experiment"] != MEAN].dropna(subset=["coefficient", "rule", "keep"])
    rules = single[["rule", "keep"]].drop_duplicates().itertuples(index=False)
    lines = [f"Choice: {rule_text(rule, float(keep), texts)}." for rule, keep in rules]
    marked = [mark for name, mark in MARKS.items() if cells[name].eq(True).any()]
    if marked and (cells["averaged"] > 1).any():
        lines.append("A mark at a mean holds for at least one of the cells that are averaged.")
    return lines + [f"{mark.sign}: {mark.text}" for mark in marked]


def _paper_notes(table: Mapping, more: str, cells: pd.DataFrame) -> list[str]:
    published = [column["published"] for column in table["columns"] if column["published"]]
    if not published:
        return []
    line = "paper: the published cell, NA where it is not known to us"
    if any(one["comparable"] for one in published):
        line += "; in brackets ours minus the paper's, in points"
    lines = [f"{line}.", *([more] if more else [])]
    if cells["paper_source"].map(is_second_hand).any():
        lines.append(
            f"{COPIED}: second hand. Others copied the cell from the paper, or measured it; "
            "`paper_source` in the CSV file names them, see config/published/README.md."
        )
    if not all(one["comparable"] for one in published):
        lines.append(
            "‡: for orientation only. Model and data are not the paper's: no difference is given."
        )
    return lines
