"""The notes below a table: what is averaged, what ranks, how coefficients were chosen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from negmerge.checkpoints.divergence import DIVERGED
from negmerge.errors import find
from negmerge.evaluation.uncertainty import RESAMPLES, SIGNIFICANCE
from negmerge.reporting.cells import MARKS, is_second_hand
from negmerge.reporting.compare import FEW_POINTS, is_little
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.records import MEAN, TO_FORGET
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Scenario

ONE_SEED = "one seed ranks nothing beyond these {items}: another training may give another order"
TOO_LITTLE = (
    f"too little for any row to rank: less than {FEW_POINTS:g} points, or not told apart from none"
)


def number_of_trials(scenario: Scenario, column: pd.DataFrame) -> int:
    """Count the trials behind a column: tasks of a classifier, otherwise experiments."""
    places = column[column["experiment"] != MEAN][["experiment", "task"]].drop_duplicates()
    return len(places) if scenario.aims_at_retrain else places["experiment"].nunique()


def comparison_notes(table: Mapping, cells: pd.DataFrame) -> list[str]:
    """Describe how much there is to forget in each column, and what bold values mean."""
    if cells["p_value"].isna().all():
        return []
    labels_of: dict[str, list[str]] = {}
    trials, scenarios = {}, {}
    for column in table["columns"]:
        label, scenario = column["label"], table_kind(table["kind"]).scored(column)
        of_column = cells[cells["column"] == label]
        scenarios[label] = scenario
        # Columns that differ in the rule of a choice forget the same.
        labels_of.setdefault(_amount(scenario, of_column), []).append(label)
        trials[label] = number_of_trials(scenario, of_column)
    lines = [f"{', '.join(labels)}: {text}" for text, labels in labels_of.items()]
    single: dict[str, list[str]] = {}
    for label in (label for label, count in trials.items() if count == 1):
        single.setdefault(ONE_SEED.format(items=scenarios[label].items), []).append(label)
    lines += [f"{', '.join(labels)}: {text}." for text, labels in single.items()]
    if (cells["with_best"].eq(True)).any():
        for kind in dict.fromkeys(_compared(one) for one in scenarios.values()):
            counts = [n for key, n in trials.items() if _compared(scenarios[key]) == kind]
            lines.append(_bold(*kind, max(counts)))
    if any(one.aims_at_retrain for one in scenarios.values()):
        lines.append(
            "± of an average gap: its standard deviation when the images are drawn anew, "
            f"{RESAMPLES:,} times, for the method and Retrain alike; the attack's verdict on each "
            "image stays. ± of the attack: binomial, of its verdicts."
        )
    return lines


def _amount(scenario: Scenario, column: pd.DataFrame) -> str:
    """Describe how much there is to forget in one column of a table."""
    found = column[(column["metric"] == TO_FORGET) & (column["experiment"] == MEAN)]
    if found.empty:
        needed = " and ".join(f"`{method}`" for method in scenario.needed)
        plural = "s" if len(scenario.needed) > 1 else ""
        return f"how much there is to forget is not known; it takes the method{plural} {needed}."
    return _spell_amount(scenario, found.iloc[0])


def _spell_amount(scenario: Scenario, cell: Mapping) -> str:
    """Describe who has how many of the forget images right, and whether any row can rank."""
    knows, never = scenario.knows
    paired = "paired, " if scenario.has_retrain else ""
    error = f"{cell['value']:.2f} ± {cell['standard_error']:.2f}"
    text = (
        f"{knows} {scenario.says.format(share=cell['value'] + cell['reference'])}, "
        f"{never} {cell['reference']:.2f} %, which leaves {error} points to forget "
        f"({paired}{spell_p(cell['p_value'])})"
    )
    little = is_little(cell["value"], cell["p_value"])
    return f"{text}, {TOO_LITTLE}." if little else f"{text}."


def _compared(scenario: Scenario) -> tuple[bool, str]:
    """Return what decides how rows are compared, and on what."""
    return scenario.aims_at_retrain, scenario.items


def _bold(with_retrain: bool, items: str, trials: int) -> str:
    """Describe what a bold value means."""
    best, how = "the best of its column", "McNemar's exact test; for a mean of several cells "
    if with_retrain:
        best, how = "the one of its column that is closest to Retrain", ""
    elif items != "images":
        how = ""
    over_trials = ", and over trials by a paired t-test, of which the larger p counts"
    return (
        f"bold: {best}, or not told apart from that one: two-sided p > {SIGNIFICANCE:g} on the "
        f"same {items} ({how}a paired bootstrap{over_trials if trials > 1 else ''}). Rows are not "
        "corrected for their number. Each p is in the CSV file."
    )


def spell_p(p: float) -> str:
    """Spell a p."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def amounts(
    study: Mapping, tables: Mapping[str, tuple[Mapping, pd.DataFrame]]
) -> dict[str, list[str]]:
    """Describe for each experiment in tables how much there is to forget, and the role of seeds."""
    found: dict[str, list[str]] = {}
    for name in study["experiments"]:
        scenario = SCENARIOS[study["experiments"][name]["scenario"]]
        here = [
            cells[cells["experiment"] == name]
            for table, cells in tables.values()
            if table_kind(table["kind"]).is_scored
        ]
        if any(len(cells) for cells in here):
            found[name] = list(_sentences(scenario, here, _repeats(study, name)))
    return found


def _sentences(scenario: Scenario, here: Sequence[pd.DataFrame], repeats: int) -> Iterator[str]:
    known = {
        cell["task"]: _spell_amount(scenario, cell)
        for cells in here
        for cell in cells[cells["metric"] == TO_FORGET].to_dict("records")
    }
    yield from (f"{task}: {text}" for task, text in known.items())
    if not known:
        yield "How much there is to forget is not known."
    if repeats == 1:
        yield f"{ONE_SEED.format(items=scenario.items).capitalize()}."


def _repeats(study: Mapping, name: str) -> int:
    """Count the trials of an experiment, and of others that differ from it in the seed only."""
    without_seeds = [
        {key: value for key, value in one.items() if key not in ("seed", "seeds")}
        for one in study["experiments"].values()
    ]
    own = study["experiments"][name]
    same = without_seeds.count({k: v for k, v in own.items() if k not in ("seed", "seeds")})
    return same * own.get("trials", 1)


@dataclass(frozen=True)
class Verdict:
    """Which rows lead a column of a table."""

    table: str  # its title
    column: str  # its label
    measure: str  # what is compared
    # The rows that are best or not told apart from the best; none where no row ranks.
    best: list[str]
    rows: int  # how many were compared


def verdicts(tables: Mapping[str, tuple[Mapping, pd.DataFrame]]) -> list[Verdict]:
    """List for each column of the tables of scores which rows lead it, by its leading measure."""
    found = []
    for table, cells in tables.values():
        for column in table["columns"]:
            of_column = cells[(cells["column"] == column["label"]) & (cells["experiment"] == MEAN)]
            scenario = table_kind(table["kind"]).scored(column)
            if scenario is None:
                continue
            metric = scenario.headline_metric
            means = of_column[of_column["metric"] == metric.name]
            compared = means[means["p_value"].notna()]
            if len(compared):
                best = compared[compared["with_best"].eq(True)].sort_values(
                    "value", ascending=metric.better == "lower", kind="stable"
                )
                labels = best["row"].to_list()
                found.append(
                    Verdict(table["title"], column["label"], metric.label, labels, len(compared))
                )
    return found


NOT_COMPARABLE = " ‡"
COPIED = "*"


def rule_text(scenario: Scenario, rule: str, keep: float) -> str:
    """Describe how a coefficient was chosen."""
    return find("rule", rule, scenario.criteria).format(keep=f"{100 * keep:.4g} %")


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
    scenario = kind.scored(table["columns"][0])
    items = f"{kind.images} {scenario.items if scenario else kind.items}".strip()
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


def error_note(scenario: Scenario, cells: pd.DataFrame) -> str:
    """Describe what the standard error of scores is."""
    shared = (
        ", and where averaged cells share images (the control set, several seeds) it is too small."
    )
    is_shared = scenario.is_counted and (cells["averaged"] > 1).any()
    return scenario.error + (shared if is_shared else ".")


def choice_notes(scenario: Scenario, cells: pd.DataFrame) -> list[str]:
    """Describe by which rules was chosen, and what the marks at numbers mean."""
    single = cells[cells["experiment"] != MEAN].dropna(subset=["coefficient", "rule", "keep"])
    rules = single[["rule", "keep"]].drop_duplicates().itertuples(index=False)
    lines = [f"Choice: {rule_text(scenario, rule, float(keep))}." for rule, keep in rules]
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
