"""What a study found, in five lines from the cells of its tables, and what it did not find."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import pandas as pd

from negmerge.evaluation.uncertainty import SIGNIFICANCE
from negmerge.reporting.compare import is_little
from negmerge.reporting.kinds import table_kind
from negmerge.reporting.layout import number
from negmerge.reporting.notes import chance_of_agreement, number_of_trials, spell_list, spell_p
from negmerge.reporting.records import MEAN, TO_FORGET
from negmerge.scenarios import SCENARIOS
from negmerge.scenarios.base import Metric, Scenario
from negmerge.scenarios.classifier.scenario import GAP_OF
from negmerge.settings.methods import RETRAIN

NEGMERGE = "negmerge"
# Rows that are named one by one; of more only the first ones, and their number.
MOST_NAMES = 3
Tables = Mapping[str, tuple[Mapping, pd.DataFrame]]


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    name: str  # what people call it: the experiment of a classifier, otherwise its label
    cells: pd.DataFrame  # all cells of the column
    places: frozenset[tuple[str, str]]  # the experiments and tasks that it averages
    scenario: Scenario | None  # whose scores it shows, if it shows any

    @property
    def leading(self) -> Metric:
        """The measure that the first lines of a report speak of."""
        return self.scenario.headline_metric

    @cached_property
    def rows(self) -> list[dict]:
        """The means of the leading measure, without Retrain, the best first."""
        found = self.means(self.leading.name)
        found = found[found["value"].notna() & (found["method"] != RETRAIN)]
        return found.sort_values("value", kind="stable").to_dict("records")

    @property
    def best(self) -> list[dict]:
        """The rows that no row beats: several where they are equal."""
        return [row for row in self.rows if row["value"] == self.rows[0]["value"]]

    @property
    def to_forget(self) -> dict | None:
        """The cell that says how much there is to forget, if it is known."""
        found = self.cells[
            (self.cells["metric"] == TO_FORGET) & (self.cells["experiment"] == MEAN)
        ].to_dict("records")
        return found[0] if found else None

    @property
    def is_little(self) -> bool:
        """Whether there is too little to forget for any row to rank."""
        cell = self.to_forget
        return cell is not None and is_little(cell["value"], cell["p_value"])

    @property
    def is_compared(self) -> bool:
        """Whether the rows were compared image by image."""
        return any(not pd.isna(row["p_value"]) for row in self.rows)

    @property
    def others(self) -> list[dict]:
        """The rows that another row beats."""
        return self.rows[len(self.best) :]

    @property
    def near(self) -> list[dict]:
        """Those of the others that are not told apart from the best."""
        return [row for row in self.others if row["with_best"] is True]

    @property
    def is_close(self) -> bool:
        """Whether the best row leads the next one by less than its standard error."""
        first, *others = self.rows
        return bool(others) and others[0]["value"] - first["value"] < first["standard_error"]

    def row(self, method: str) -> dict | None:
        """Return the first row of a method, if there is one."""
        return next((row for row in self.rows if row["method"] == method), None)

    def means(self, metric: str) -> pd.DataFrame:
        """Return the means of all rows by a measure."""
        is_mean = (self.cells["experiment"] == MEAN) & self.cells["row"].notna()
        return self.cells[is_mean & (self.cells["metric"] == metric)]


def leading_columns(shown: Sequence[Column]) -> list[Column]:
    """Return the columns of scores that say which method is best, each place once.

    Where a column has only one row beside the base it compares no methods, and is left out if
    another column does.
    """
    scored = [one for one in shown if one.scenario and one.rows]
    found = distinct(scored)
    compared = [
        one for one in found if sum(row["method"] != one.scenario.base for row in one.rows) > 1
    ]
    return compared or found


def columns(study: Mapping, tables: Tables) -> list[Column]:
    """Return all columns of the tables."""
    return [
        _column(table, column, cells[cells["column"] == column["label"]])
        for table, cells in tables.values()
        for column in table["columns"]
    ]


def _column(table: Mapping, column: Mapping, cells: pd.DataFrame) -> Column:
    single = cells[(cells["experiment"] != MEAN) & cells["row"].notna()]
    places = single[["experiment", "task"]].drop_duplicates().itertuples(index=False, name=None)
    found = frozenset(places)
    names = list(dict.fromkeys(single["experiment"]))
    are_trials = SCENARIOS[column["scenario"]].aims_at_retrain
    name = ", ".join(names) if are_trials else column["label"].replace("`", "")
    return Column(name, cells, found, table_kind(table["kind"]).scored(column))


def distinct(found: Sequence[Column]) -> list[Column]:
    """Keep each place once: in the first column that shows it, singly rather than in a mean."""
    kept: list[Column] = []
    for column in found:
        parts = [one.places for one in found if one.places < column.places]
        shown = [one.places for one in kept]
        if not (_cover(parts, column.places) or _cover(shown, column.places)):
            kept.append(column)
    return kept


def _cover(several: Collection[frozenset], places: frozenset) -> bool:
    return places <= frozenset().union(*several)


def labels(rows: Sequence[Mapping]) -> str:
    """List the labels of rows, NegMerge's first; where they are many, the rest is counted."""
    found = [row["row"] for row in sorted(rows, key=lambda row: row["method"] != NEGMERGE)]
    if len(found) > MOST_NAMES:
        found = [*found[: MOST_NAMES - 1], f"{len(found) - MOST_NAMES + 1} others"]
    return spell_list(found)


# What a mark at a row leaves open, see `cells.MARKS`: in a sentence, and in few words.
LIMITS = {
    "upper_end": ("can do no better (chosen at the upper end of the grid", "end of grid"),
    "lower_end": ("can do no better (chosen at the lower end of the grid", "end of grid"),
    "unsearched": ("can do no better (one setting, no other tried", "not searched"),
    "unchanged": ("can forget (nothing tried was better than the unchanged model", "unchanged"),
}


class Said(NamedTuple):
    """Something said twice: in a sentence for a page, and in few words for a terminal."""

    text: str
    short: str


def cautions(leading: Sequence[Column], shown: Sequence[Column]) -> Iterator[Said]:
    """Yield what the records do not show, the most general first."""
    for holds, text, short in (
        (
            lambda one: one.is_little,
            "anything of the order of the rows (too little to forget{})",
            "any order (too little to forget{})",
        ),
        (
            lambda one: number_of_trials(one.scenario, one.cells) == 1,
            "that another training gives the same order (one seed{})",
            "the order (one seed{})",
        ),
        (
            lambda one: one.is_close,
            "that the best beats the next (its lead is below its standard error{})",
            "the lead (below its error{})",
        ),
    ):
        yield from _where(leading, holds, text, short)
    yield from _limits(leading)
    yield from _where(
        leading,
        lambda one: one.cells["rule"].eq("gap").any(),
        "that a user without Retrain reaches this (rule gap compares with it{})",
        "use without Retrain (rule gap{})",
    )
    yield from _where(
        leading,
        lambda one: not _is_like_paper(one, shown),
        "anything of the paper's numbers (another model or other data{})",
        "the paper's numbers (other data{})",
    )


def _where(
    leading: Sequence[Column], holds: Callable[[Column], bool], text: str, short: str
) -> Iterator[Said]:
    """Name the columns for which something holds; nothing need be named if it is all."""
    found = [one.name for one in leading if holds(one)]
    is_all = len(found) == len(leading)
    names = "" if is_all else f": {', '.join(found)}"
    count = "" if is_all else f": {len(found)} of {len(leading)}"
    if found:
        yield Said(text.format(names), short.format(count))


def _limits(leading: Sequence[Column]) -> Iterator[Said]:
    """Name the rows whose choice leaves something open, and the columns where it does."""
    for mark, (text, short) in LIMITS.items():
        found: dict[str, list[str]] = {}
        for column in leading:
            marked = [row for row in column.rows if row[mark] is True]
            if marked:
                found.setdefault(labels(marked), []).append(column.name)
        for rows, names in found.items():
            yield Said(f"that {rows} {text}: {', '.join(names)})", f"{rows} ({short})")


def _is_like_paper(column: Column, shown: Sequence[Column]) -> bool:
    """Whether the paper's cells, where any stand beside these places, may be compared with them."""
    beside = [one.cells["comparable"].dropna() for one in shown if one.places & column.places]
    known = [flag for flags in beside for flag in flags]
    return not known or True in known


# Characters of a line on a terminal.
WIDTH = 100
NOT_SCORED = Said("no table scores a model", "no table scores a model")
WITHOUT_RETRAIN = Said(
    "not known, since no Retrain says how much forgetting is right", "not known without Retrain"
)
NO_CAUTION = Said(
    "the records hold no caution; the notes below the tables say what an error holds",
    "see the notes below the tables",
)


@dataclass(frozen=True)
class Finding:
    """One of the first lines of a report."""

    about: str  # what it is about
    short: str  # the same in few words
    said: list[Said]  # something of each column, as a rule


def findings(study: Mapping, tables: Tables) -> list[Finding]:
    """Return what a study found, and what it did not."""
    shown = columns(study, tables)
    leading = leading_columns(shown)
    measures = dict.fromkeys(f"{one.leading.label} ({one.leading.unit})" for one in leading)
    best = " by ".join(filter(None, ("Best method", " or ".join(measures))))
    items = " and ".join(dict.fromkeys(one.scenario.items for one in leading)) or "images"
    noise = f"Within noise of the best (p > {SIGNIFICANCE:g} on the same {items})"
    limits = list(cautions(leading, shown))
    is_alone = any(one.scenario is None and one.cells["metric"].eq("mia").any() for one in shown)
    nothing = WITHOUT_RETRAIN if is_alone else NOT_SCORED
    return [
        Finding(best, "Best", [_best(one) for one in leading] or [nothing]),
        Finding(noise, "Within noise", [_noise(one) for one in leading] or [nothing]),
        Finding("Distance from Retrain", "From Retrain", _distances(leading) or [nothing]),
        Finding("What NegMerge's consensus kept", "Consensus kept", _consensus(study, shown)),
        Finding(
            "Not to be concluded",
            "Not to conclude",
            limits or [NO_CAUTION if leading else nothing],
        ),
    ]


def summary(found: Iterable[Finding]) -> str:
    """Write findings as plain text for a terminal, a line each, with as much as has room."""
    return "".join(f"{_line(one)}\n" for one in found)


def _line(found: Finding) -> str:
    for count in range(len(found.said), -1, -1):
        left_out = len(found.said) - count
        more = [f"{left_out} more in the report"] if left_out else []
        parts = [*(one.short for one in found.said[:count]), *more]
        line = f"{found.short}: {', '.join(parts)}".replace("±", "+-")
        if len(line) <= WIDTH:
            break
    return line


def _best(column: Column) -> Said:
    """Name the best rows of a column, with the standard error."""
    best, unit = column.best, column.leading.unit
    text = f"{labels(best)}, {_spell(column, best[0])}"
    method, value = best[0]["method"], f"{best[0]['value']:.1f}"
    if not pd.isna(best[0]["standard_error"]):
        value += f"±{best[0]['standard_error']:.1f}"
    short = f"{column.name} {method} {value}{' %' if unit == '%' else ''}"
    if all(row["method"] == column.scenario.base for row in best):
        text, short = f"no method, the unchanged model leads ({text})", f"{column.name} no method"
    if column.is_little:
        text, short = f"no method, too little to forget ({text})", f"{column.name} no method"
    return Said(f"{column.name}: {text}", short)


def _spell(column: Column, row: Mapping) -> str:
    """Spell a value with its standard error, and the spread over trials of a classifier."""
    unit, text = column.leading.unit, _value(column, row)
    if not pd.isna(row["standard_error"]):
        text += f" ± {number(row['standard_error'], unit)}"
    text += f" {unit}"
    if column.scenario.aims_at_retrain and not pd.isna(row["std"]):
        text += f" (std over {int(row['averaged'])} trials {number(row['std'], unit)})"
    return text


def _value(column: Column, row: Mapping) -> str:
    return number(row["value"], column.leading.unit)


def _noise(column: Column) -> Said:
    """Name the rows that are not told apart from the best, and say so if NegMerge loses."""
    name, near, others = column.name, column.near, column.others
    if not column.is_compared:
        text = f"{name}: not known, since nothing was compared image by image"
        return Said(text, f"{name} not known")
    if column.is_little:
        text = f"{name}: no row ranks, there is too little to forget"
        return Said(text, f"{name} no row ranks")
    counted = f"{len(near) or 'none'} of {len(others)}"
    is_counted = len(near) > MOST_NAMES
    text = f"{counted} others" if is_counted else labels(near) or "none of the others"
    negmerge = column.row(NEGMERGE)
    if negmerge is None or negmerge in column.best:
        return Said(f"{name}: {text}", f"{name} {counted}")
    named = f"{negmerge['row']} with {_value(column, negmerge)} {column.leading.unit}"
    if negmerge in near:
        among = f", {named} among them" if is_counted else ""
        return Said(f"{name}: {text}{among}", f"{name} {counted}")
    text += f", but {named} loses ({spell_p(negmerge['p_value'])})"
    return Said(f"{name}: {text}", f"{name} {counted} ({NEGMERGE} loses)")


def _distances(leading: Sequence[Column]) -> list[Said]:
    """Describe how far classifiers are from Retrain; without any, how others are from chance."""
    classifiers = [one for one in leading if one.scenario.aims_at_retrain]
    if classifiers or not leading:
        return [_distance(one) for one in classifiers]
    without = [one for one in leading if not one.scenario.has_retrain]
    missing = Said("no classifier, so no Retrain to compare with", "no classifier in this study")
    distances = [_from_guessing(one) for one in leading if one.to_forget]
    return [*([missing] if without else []), *distances]


def _distance(column: Column) -> Said:
    """Describe how far the best row, NegMerge and the unchanged model are from Retrain."""
    shown = {row["method"]: row for row in (column.rows[0], column.row(NEGMERGE)) if row}
    parts = [
        f"{row['row']} {_value(column, row)} points, most in {_farthest(column, row)}"
        for row in shown.values()
    ]
    short = [f"{method} {row['value']:.1f}" for method, row in shown.items()]
    base = column.row(column.scenario.base)
    if base and base["method"] not in shown:
        parts.append(f"the unchanged model {_value(column, base)} points")
        short.append(f"unchanged {base['value']:.1f}")
    return Said(f"{column.name}: {'; '.join(parts)}", f"{column.name} {', '.join(short)} points")


def _farthest(column: Column, row: Mapping) -> str:
    """Name the measure in which a row is farthest from Retrain."""
    parts = [metric for metric in column.scenario.metrics if metric.name in GAP_OF]
    found = [
        (abs(cell["value"] - cell["reference"]), metric.label, cell)
        for metric in parts
        for cell in column.means(metric.name).to_dict("records")
        if cell["row"] == row["row"]
    ]
    _, label, cell = max(found, key=lambda one: one[0])
    return f"{label} ({cell['value']:.2f} %, Retrain {cell['reference']:.2f} %)"


def _from_guessing(column: Column) -> Said:
    """Describe where NegMerge, or else the best row, lies between the base and guessing."""
    cell, row = column.to_forget, column.row(NEGMERGE) or column.rows[0]
    knows, never = column.scenario.knows
    known, guessed = cell["value"] + cell["reference"], cell["reference"]
    return Said(
        f"{column.name}: {knows} {column.scenario.says.format(share=known)}, "
        f"{row['row']} {_value(column, row)} %, {never} {guessed:.2f} %",
        f"{column.name} {known:.1f} to {row['value']:.1f} %",
    )


def _consensus(study: Mapping, shown: Sequence[Column]) -> list[Said]:
    """Describe what share of the trainable numbers NegMerge's consensus kept."""
    if not any(NEGMERGE in experiment["methods"] for experiment in study["experiments"].values()):
        return [Said("NegMerge is not among the methods", "no NegMerge in this study")]
    found, by_lot = [], {}
    for column in distinct([one for one in shown if _kept(one)]):
        share, models = _kept(column)
        of = "" if found else " of the trainable numbers"
        found.append(Said(f"{column.name}: {share:.2f} %{of}", f"{column.name} {share:.1f} %"))
        by_lot |= {one: _by_lot(int(one)) for one in models.split()}
    if not found:
        text = "it was not counted, since no table of kind sparsity or mask shows it"
        return [Said(text, "not counted")]
    lots = spell_list([f"{share} with {models} models" for models, share in by_lot.items()])
    by_chance = Said(f"random signs would keep {lots}", f"by chance {' or '.join(by_lot.values())}")
    return [*found, by_chance]


def _by_lot(models: int) -> str:
    """Spell how often the signs of so many models agree by chance."""
    share = chance_of_agreement(models)
    return f"{share:.3g} %" if share >= 0.01 else "< 0.01 %"


def _kept(column: Column) -> tuple[float, str] | None:
    """Return the share that NegMerge kept, in percent, and of how many models."""
    shares = {"kept_trainable": lambda value: value, "zeros_trainable": lambda value: 100 - value}
    for metric, share in shares.items():
        found = column.means(metric)
        for cell in found[found["method"] == NEGMERGE].to_dict("records"):
            if not pd.isna(cell["value"]):
                return share(cell["value"]), cell["models"]
    return None
