"""What a study found, in six findings from the cells of its tables, and what it did not find."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from negmerge.evaluation.uncertainty import SIGNIFICANCE
from negmerge.reporting.compare import NEGMERGE, is_little
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.layout import number
from negmerge.reporting.notes import chance_of_agreement, number_of_trials, spell_list, spell_p
from negmerge.reporting.records import FOOTNOTES, KEEPS_MORE, MEAN, NOTHING_LEFT, TO_FORGET
from negmerge.scenarios.base import Scenario
from negmerge.seeds import first_of
from negmerge.settings.methods import RETRAIN

# The rows that NegMerge's claim is about.
CLAIMED = ("uniform", "task-arithmetic")
# What `Column.verdict` says of rows that are compared, in a sentence.
VERDICTS = {
    "won": "wins against",
    "lost": "loses against",
    "not told apart": "is not told apart from",
}
# Rows that are named one by one, and sentences of a finding that a terminal shows.
MOST_NAMES, MOST_SENTENCES = 3, 3
# The shares, in percent, that say how many numbers a merge kept.
KEPT = {"kept_trainable": lambda share: share, "zeros_trainable": lambda share: 100 - share}
LITTLE = "no row ranks, since there is too little to forget."
NO_LIMIT = "The notes below the tables say what an error leaves out."
NOT_RANKED = "No table of this study ranks its rows."
Tables = Mapping[str, tuple[Mapping, pd.DataFrame]]


class Finding(NamedTuple):
    """One of the first paragraphs of a report."""

    title: str
    sentences: list[str]  # one of each column, as a rule


@dataclass(frozen=True)
class Column:
    name: str  # what people call it: the experiment of a classifier, otherwise its label
    cells: pd.DataFrame
    places: frozenset[tuple[str, str]]  # the experiments and tasks that it averages
    scenario: Scenario
    is_scored: bool

    @cached_property
    def rows(self) -> list[dict]:
        """The means of the scenario's headline metric, without Retrain, the best first."""
        metric = self.scenario.headline_metric
        means = self.cells[self.cells["experiment"].eq(MEAN) & self.cells["row"].notna()]
        means = means[means["metric"].eq(metric.name) & means["value"].notna()]
        rivals = means[means["method"] != RETRAIN]
        is_rising = metric.better == "lower"
        return rivals.sort_values("value", ascending=is_rising, kind="stable").to_dict("records")

    @property
    def best(self) -> list[dict]:
        """The rows that no row beats: several where they are equal."""
        return [row for row in self.rows if row["value"] == self.rows[0]["value"]]

    @property
    def to_forget(self) -> dict | None:
        is_amount = self.cells["metric"].eq(TO_FORGET) & self.cells["experiment"].eq(MEAN)
        return next(iter(self.cells[is_amount].to_dict("records")), None)

    @property
    def is_little(self) -> bool:
        cell = self.to_forget
        return cell is not None and is_little(cell["value"], cell["p_value"])

    def row(self, method: str) -> dict | None:
        return next((row for row in self.rows if row["method"] == method), None)

    def verdict(self, row: Mapping) -> str:
        """Say whether NegMerge won against a row by the headline metric, if they can be told."""
        own = self.row(NEGMERGE)
        if own is None:
            return "NegMerge is not there"
        if self.is_little:
            return "too little to forget"
        p = row.get("p_negmerge", float("nan"))
        # Each row is compared with the best one, which may be one of the two.
        if pd.isna(p) and own in self.best:
            p = row["p_value"]
        if pd.isna(p) and row in self.best:
            p = own["p_value"]
        if pd.isna(p):
            return "not compared"
        if p > SIGNIFICANCE:
            return "not told apart"
        return "won" if self.rows.index(own) < self.rows.index(row) else "lost"

    def spell(self, row: Mapping) -> str:
        unit = self.scenario.headline_metric.unit
        error = row["standard_error"]
        text = "" if pd.isna(error) else f" ± {number(error, unit)}"
        return f"{number(row['value'], unit)}{text} {unit}"


def columns(tables: Tables) -> list[Column]:
    shown = []
    for table, cells in tables.values():
        for column in table["columns"]:
            own = cells[cells["column"] == column["label"]]
            single = own[(own["experiment"] != MEAN) & own["row"].notna()]
            places = frozenset(zip(single["experiment"], single["task"], strict=True))
            kind = table_kind(table["kind"])
            scenario = kind.scenario(column)
            name = column["label"].replace("`", "")
            if scenario.tasks_repeat:
                name = ", ".join(dict.fromkeys(map(first_of, single["experiment"])))
            shown.append(Column(name, own, places, scenario, kind.is_scored))
    return shown


def distinct(shown: Sequence[Column]) -> list[Column]:
    """Keep each place once: in the first column that shows it, singly rather than in a mean."""
    kept: list[Column] = []
    for column in shown:
        parts = [other.places for other in shown if other.places < column.places]
        known = [other.places for other in kept]
        if not any(column.places <= frozenset().union(*several) for several in (parts, known)):
            kept.append(column)
    return kept


def comparing(scored: Sequence[Column]) -> Sequence[Column]:
    """Leave out columns with only one row beside the base, unless there are no others."""
    several = [c for c in scored if sum(row["method"] != c.scenario.base for row in c.rows) > 1]
    return several or scored


def findings(study: Mapping, tables: Tables) -> list[Finding]:
    shown = columns(tables)
    ranked = comparing(distinct([column for column in shown if column.is_scored and column.rows]))
    nothing = [NO_LIMIT if ranked else NOT_RANKED]
    near = f"Not told apart from the best (p > {SIGNIFICANCE:g})"
    return [
        Finding("Best method", list(map(_best, ranked)) or [NOT_RANKED]),
        Finding(near, list(map(_near, ranked)) or [NOT_RANKED]),
        Finding("NegMerge against Uniform Merge and the best single model", _claims(ranked)),
        Finding("How far forgetting got", list(map(_distance, ranked)) or [NOT_RANKED]),
        Finding("What NegMerge's consensus kept", _consensus(study, shown)),
        Finding("Not to be concluded", list(_limits(ranked, shown)) or nothing),
    ]


def summary(shown: Sequence[Finding]) -> str:
    """Write the first sentences of each finding as plain text for a terminal."""
    lines = []
    for title, sentences in shown:
        left_out = len(sentences) - MOST_SENTENCES
        more = [f"{left_out} more in the report."] if left_out > 0 else []
        lines += [f"{title}:", *(f"  {text}" for text in [*sentences[:MOST_SENTENCES], *more])]
    return "\n".join(lines).replace("±", "+-") + "\n"


def names(rows: Sequence[Mapping]) -> str:
    """List the labels of rows, NegMerge's first; where they are many, the rest is counted."""
    labels = [row["row"] for row in sorted(rows, key=lambda row: row["method"] != NEGMERGE)]
    if len(labels) > MOST_NAMES:
        labels = [*labels[: MOST_NAMES - 1], f"{len(labels) - MOST_NAMES + 1} others"]
    return spell_list(labels)


def _best(column: Column) -> str:
    if column.is_little:
        return f"{column.name}: {LITTLE}"
    value = f"{column.scenario.headline_metric.label} {column.spell(column.best[0])}"
    if all(row["method"] == column.scenario.base for row in column.best):
        return f"{column.name}: no method beats the unchanged model, with {value}."
    return f"{column.name}: {names(column.best)}, with {value}."


def _near(column: Column) -> str:
    """Name the rows that are not told apart from the best, and say so if NegMerge loses."""
    if column.is_little:
        return f"{column.name}: {LITTLE}"
    if all(pd.isna(row["p_value"]) for row in column.rows):
        return f"{column.name}: nothing was compared on the same {column.scenario.items}."
    others = column.rows[len(column.best) :]
    near = [row for row in others if row["with_best"] is True]
    text = f"{column.name}: {len(near)} of {len(others)} other rows"
    text += f", {names(near)}." if near else "."
    negmerge = column.row(NEGMERGE)
    if negmerge in others and negmerge not in near:
        text += f" NegMerge loses, with {column.spell(negmerge)} ({spell_p(negmerge['p_value'])})."
    return text


def _claims(ranked: Sequence[Column]) -> list[str]:
    """Say whether NegMerge wins or loses against the rows that its claim is about."""
    sentences = []
    for column in ranked:
        own = column.row(NEGMERGE)
        rivals = [row for row in map(column.row, CLAIMED) if own and row]
        if column.is_little and rivals:
            sentences.append(f"{column.name}: {LITTLE}")
            continue
        parts = []
        for row in rivals:
            if pd.isna(row["p_negmerge"]):
                continue
            parts.append(
                f"it {VERDICTS[column.verdict(row)]} {row['row']}, with {column.spell(row)} "
                f"({spell_p(row['p_negmerge'])})"
            )
        if parts:
            seeds = number_of_trials(column.scenario, column.cells)
            over = f"{seeds} trainings" if seeds > 1 else "one training"
            sentences.append(
                f"{column.name}: NegMerge has {column.spell(own)} over {over}; {spell_list(parts)}."
            )
    return sentences or ["No table compares NegMerge with them."]


def _distance(column: Column) -> str:
    """Say where NegMerge, or else the best row, lies between knowing and never having known."""
    row, base = column.row(NEGMERGE) or column.rows[0], column.row(column.scenario.base)
    knows, never = column.scenario.knows
    values = [f"{column.spell(base)} for {knows}"] if base else []
    if row != base:
        values.append(f"{column.spell(row)} for {row['row']}")
    if column.scenario.aims_at_retrain:
        values.append(f"0 for {never}")
    elif column.to_forget:
        values.append(f"{column.to_forget['reference']:.2f} % for {never}")
    return f"{column.name}: the {column.scenario.headline_metric.label} is {spell_list(values)}."


def _consensus(study: Mapping, shown: Sequence[Column]) -> list[str]:
    """Say what share of the trainable numbers NegMerge's consensus kept."""
    if not any(NEGMERGE in experiment["methods"] for experiment in study["experiments"].values()):
        return ["NegMerge is not among the methods."]
    sentences = []
    for column in distinct([column for column in shown if _kept(column)]):
        cell = _kept(column)
        chance = " or ".join(
            f"{chance_of_agreement(int(models)):.3g} % with {models} models"
            for models in cell["models"].split()
        )
        sentences.append(
            f"{column.name}: {KEPT[cell['metric']](cell['value']):.2f} % of the trainable numbers; "
            f"random signs would keep {chance}."
        )
    return sentences or ["It was not counted, since no table of kind sparsity or mask shows it."]


def _kept(column: Column) -> dict | None:
    """Return the cell that says how many numbers NegMerge kept, if there is one."""
    cells = column.cells[column.cells["metric"].isin(KEPT) & column.cells["value"].notna()]
    own = cells[cells["experiment"].eq(MEAN) & cells["method"].eq(NEGMERGE)]
    return next(iter(own.to_dict("records")), None)


def _limits(ranked: Sequence[Column], shown: Sequence[Column]) -> Iterator[str]:
    """Say what the records do not show, the most general first, and in which columns."""
    others = NOTHING_LEFT, KEEPS_MORE
    signs = {name: note.sign for name, note in FOOTNOTES.items() if name not in others}
    limits: dict[str, Callable[[Column], bool]] = {
        "The order of the rows, since there is too little to forget": lambda c: c.is_little,
        "The order after another training, since there is one seed": (
            lambda c: number_of_trials(c.scenario, c.cells) == 1
        ),
        "The lead of the best row, since it is smaller than its standard error": (
            lambda c: (
                len(c.rows) > 1
                and abs(c.rows[1]["value"] - c.rows[0]["value"]) < c.rows[0]["standard_error"]
            )
        ),
        f"What rows with {' or '.join(signs.values())} can do, since a larger grid may give more": (
            lambda c: any(row[name] is True for row in c.rows for name in signs)
        ),
        "What a user without Retrain reaches, since the criterion `gap` compares with it": (
            lambda c: c.cells["by"].eq("gap").any()
        ),
        "The paper's numbers, since the model or the data are others": (
            lambda c: _is_unlike_paper(c, shown)
        ),
    }
    for limit, holds in limits.items():
        where = [column.name for column in ranked if holds(column)]
        if where:
            names = "" if len(where) == len(ranked) else f" ({', '.join(where)})"
            yield f"{limit}{names}."


def _is_unlike_paper(column: Column, shown: Sequence[Column]) -> bool:
    """Whether the paper's cells, where any stand beside these places, are of something else."""
    beside = [other.cells["comparable"].dropna() for other in shown if other.places & column.places]
    flags = [flag for of_column in beside for flag in of_column]
    return bool(flags) and True not in flags
