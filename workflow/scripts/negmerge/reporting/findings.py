"""What a study found, in five lines, each computed from the cells of its tables."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from negmerge.evaluation.uncertainty import SIGNIFICANCE
from negmerge.reporting.judged import is_little
from negmerge.reporting.layout import number
from negmerge.reporting.leading import Column, Tables, columns, distinct, leading_columns
from negmerge.reporting.metrics import GAP_OF
from negmerge.reporting.notes import spell_list
from negmerge.reporting.verdicts import number_of_trials, spell_p

NEGMERGE = "negmerge"
# Rows that are named one by one; of more only their number is given.
MOST_NAMES = 3
# The short form for a terminal: characters of a line, and lines of a finding.
WIDTH = 100
MOST_LINES = 3
# What a mark at a row leaves open, see `marks.MARKS`.
LIMITS = {
    "upper_end": "can do no better (chosen at the upper end of the grid",
    "lower_end": "can do no better (chosen at the lower end of the grid",
    "unsearched": "can do no better (one setting, no other tried",
    "unchanged": "can forget (nothing tried was better than the unchanged model",
}
NO_CAUTION = "the records hold no caution; the notes below the tables say what an error holds"


@dataclass(frozen=True)
class Finding:
    """One of the first lines of a report: what it is about, and a sentence for each column."""

    about: str
    sentences: list[str]


def findings(study: Mapping, tables: Tables) -> list[Finding]:
    """Return what a study found, and what it did not.

    Args:
        study: its settings.
        tables: definition and cells by name, in the order of the study.
    """
    leading = leading_columns(study, tables)
    none = ["no table scores a model"]
    measures = dict.fromkeys(f"{one.leading.label} ({one.leading.unit})" for one in leading)
    return [
        Finding(
            " by ".join(filter(None, ("Best method", " or ".join(measures)))),
            [f"{one.name}: {_best(one)}" for one in leading] or none,
        ),
        Finding(
            f"Within noise of the best (p > {SIGNIFICANCE:g} on the same images)",
            [f"{one.name}: {_noise(one)}" for one in leading] or none,
        ),
        Finding("Distance from Retrain", list(_distances(leading)) or none),
        Finding("What NegMerge's consensus kept", _consensus(study, tables)),
        Finding(
            "Not to be concluded", list(_cautions(leading, columns(study, tables))) or [NO_CAUTION]
        ),
    ]


def summary(found: Iterable[Finding]) -> str:
    """Write findings as plain text for a terminal, each with as many sentences as have room.

    Args:
        found: from `findings`.
    """
    return "".join(f"{line}\n" for one in found for line in _lines(one))


def _lines(found: Finding) -> list[str]:
    for count in range(len(found.sentences), 0, -1):
        left_out = len(found.sentences) - count
        more = [f"{left_out} more in the report"] if left_out else []
        text = f"{found.about}: {'; '.join([*found.sentences[:count], *more])}."
        lines = textwrap.wrap(
            text.replace("±", "+-"), WIDTH, subsequent_indent="  ", break_on_hyphens=False
        )
        if len(lines) <= MOST_LINES:
            break
    return lines


def _best(column: Column) -> str:
    """Name the best rows of a column, with the standard error."""
    best = column.best
    text = f"{_names(best)}, {_spell(column, best[0])}"
    if all(row["method"] == column.scores.base for row in best):
        text = f"no method, the model as it was leads ({text})"
    return text


def _spell(column: Column, row: Mapping) -> str:
    """Spell a value with its standard error, and the spread over trials of a classifier."""
    unit, text = column.leading.unit, _value(column, row)
    if not pd.isna(row["standard_error"]):
        text += f" ± {number(row['standard_error'], unit)}"
    text += f" {unit}"
    if column.scores.with_retrain and not pd.isna(row["std"]):
        text += f" (std over {int(row['averaged'])} trials {number(row['std'], unit)})"
    return text


def _value(column: Column, row: Mapping) -> str:
    return number(row["value"], column.leading.unit)


def _noise(column: Column) -> str:
    """Name the rows that are not told apart from the best, and say so if NegMerge is."""
    if all(pd.isna(row["p_value"]) for row in column.rows):
        return "not known, since nothing was compared image by image"
    if _is_little(column):
        return "no row ranks, there is too little to forget"
    best = column.best
    others = [row for row in column.rows if row not in best]
    near = [row for row in others if row["with_best"] is True]
    text = f"{len(near)} of {len(others)} others" if near else f"none of {len(others)} others"
    if 0 < len(near) <= MOST_NAMES:
        text = _names(near)
    negmerge = column.row(NEGMERGE)
    if negmerge is None or negmerge in best:
        return text
    named = f"{negmerge['row']} with {_value(column, negmerge)}"
    if negmerge in near:
        return f"{text}, {named} among them"
    return f"{text}, but {named} loses ({spell_p(negmerge['p_value'])})"


def _is_little(column: Column) -> bool:
    """Whether there is too little to forget for any row to rank."""
    cell = column.to_forget
    return cell is not None and is_little(cell["value"], cell["p_value"])


def _distances(leading: Sequence[Column]) -> Iterator[str]:
    """Describe how far classifiers are from Retrain; without any, how far CLIP is from guessing."""
    classifiers = [one for one in leading if one.scores.with_retrain]
    for column in classifiers:
        shown = {row["method"]: row for row in (column.rows[0], column.row(NEGMERGE)) if row}
        parts = [
            f"{row['row']} {_value(column, row)} points, most in {_farthest(column, row)}"
            for row in shown.values()
        ]
        base = column.row(column.scores.base)
        if base and base["method"] not in shown:
            parts.append(f"the unchanged model {_value(column, base)}")
        yield f"{column.name}: {', '.join(parts)}"
    if leading and not classifiers:
        yield "no classifier, so no Retrain to compare with"
        yield from (_from_guessing(column) for column in leading if column.to_forget)


def _from_guessing(column: Column) -> str:
    """Describe where NegMerge, or else the best row, lies between the base and guessing."""
    cell, row = column.to_forget, column.row(NEGMERGE) or column.rows[0]
    knows, never = column.scores.knows
    return (
        f"{column.name}: {knows} {cell['value'] + cell['reference']:.2f} %, "
        f"{row['row']} {_value(column, row)} %, {never} {cell['reference']:.2f} %"
    )


def _farthest(column: Column, row: Mapping) -> str:
    """Name the measure in which a row is farthest from Retrain."""
    found = [
        one
        for name in GAP_OF
        for one in column.means(name).to_dict("records")
        if one["row"] == row["row"]
    ]
    cell = max(found, key=lambda one: abs(one["value"] - one["reference"]))
    label = next(one.label for one in column.scores.metrics if one.name == cell["metric"])
    return f"{label} ({cell['value']:.2f} % for {cell['reference']:.2f} %)"


def _consensus(study: Mapping, tables: Tables) -> list[str]:
    """Describe what share of the trainable numbers NegMerge's consensus kept."""
    if not any(NEGMERGE in experiment["methods"] for experiment in study["experiments"].values()):
        return ["NegMerge is not among the methods"]
    counted = [one for one in columns(study, tables) if _kept(one) is not None]
    found, by_lot = [], {}
    for column in distinct(counted):
        share, models = _kept(column)
        found.append(f"{column.name} {share:.2f} %")
        by_lot |= {one: f"{100 * 2.0 ** (1 - int(one)):.3g} %" for one in models.split()}
    if not found:
        return ["it was not counted, since no table of kind sparsity or mask shows it"]
    found[0] += " of the trainable numbers"
    lots = [f"{share} for {models} models" for models, share in by_lot.items()]
    return [*found, f"signs drawn by lot would keep {', '.join(lots)}"]


def _kept(column: Column) -> tuple[float, str] | None:
    """Return the share that NegMerge kept, in percent, and of how many models."""
    shares = {"kept_trainable": lambda value: value, "zeros_trainable": lambda value: 100 - value}
    for metric, share in shares.items():
        found = column.means(metric)
        for cell in found[found["method"] == NEGMERGE].to_dict("records"):
            if not pd.isna(cell["value"]):
                return share(cell["value"]), cell["models"]
    return None


def _cautions(leading: Sequence[Column], shown: Sequence[Column]) -> Iterator[str]:
    """Say what the records do not show, the most general first; `shown` are all columns."""

    def where(holds: Callable[[Column], bool]) -> str | None:
        """Name the columns for which something holds; nothing need be named if it is all."""
        found = [one.name for one in leading if holds(one)]
        return (f": {', '.join(found)}" if len(found) < len(leading) else "") if found else None

    for holds, text in (
        (_is_little, "anything of the order of the rows (too little to forget{})"),
        (_is_one_trial, "that another training gives the same order (one seed{})"),
        (_is_close, "that the best beats the next (its lead is below its standard error{})"),
    ):
        if (names := where(holds)) is not None:
            yield text.format(names)
    for mark, text in LIMITS.items():
        for column in leading:
            marked = [row for row in column.rows if row[mark] is True]
            if marked:
                yield f"that {_names(marked)} {text}: {column.name})"
    if (names := where(lambda one: one.cells["rule"].eq("gap").any())) is not None:
        yield f"that a user without Retrain reaches this (rule gap compares with it{names})"
    if (names := where(lambda one: not _is_like_paper(one, shown))) is not None:
        yield f"anything of the paper's numbers (another model or other data{names})"


def _is_like_paper(column: Column, shown: Sequence[Column]) -> bool:
    """Whether the paper's cells, where any stand beside these places, may be compared with them."""
    beside = [one.cells["comparable"].dropna() for one in shown if one.places & column.places]
    known = [flag for flags in beside for flag in flags]
    return not known or True in known


def _is_one_trial(column: Column) -> bool:
    return number_of_trials(column.cells) == 1


def _is_close(column: Column) -> bool:
    """Whether the best row leads the next one by less than its standard error."""
    first, *others = column.rows
    return bool(others) and others[0]["value"] - first["value"] < first["standard_error"]


def _names(rows: Sequence[Mapping]) -> str:
    """List labels, or count them where they are many; NegMerge comes first."""
    labels = [row["row"] for row in sorted(rows, key=lambda row: row["method"] != NEGMERGE)]
    if len(labels) > MOST_NAMES:
        labels = [*labels[: MOST_NAMES - 1], f"{len(labels) - MOST_NAMES + 1} others"]
    return spell_list(labels)
