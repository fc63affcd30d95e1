"""The columns of a study's tables that answer its question, each place of a study once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from negmerge.reporting.judged import is_little
from negmerge.reporting.metrics import MEAN, TO_FORGET, Metric
from negmerge.reporting.notes import spell_list
from negmerge.reporting.scores import Scores, scores_of
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

    @property
    def scores(self) -> Scores | None:
        """How its models are scored, if they are."""
        return scores_of(set(self.cells["metric"]))

    @property
    def leading(self) -> Metric:
        """The measure that the first lines of a report speak of."""
        return next(one for one in self.scores.metrics if one.name == self.scores.leading)

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
    scored = [one for one in shown if one.scores and one.rows]
    found = distinct(scored)
    compared = [
        one for one in found if sum(row["method"] != one.scores.base for row in one.rows) > 1
    ]
    return compared or found


def columns(study: Mapping, tables: Tables) -> list[Column]:
    """Return all columns of the tables."""
    return [
        _column(study["experiments"], column["label"], cells[cells["column"] == column["label"]])
        for table, cells in tables.values()
        for column in table["columns"]
    ]


def _column(experiments: Mapping[str, Mapping], label: str, cells: pd.DataFrame) -> Column:
    single = cells[(cells["experiment"] != MEAN) & cells["row"].notna()]
    places = single[["experiment", "task"]].drop_duplicates().itertuples(index=False, name=None)
    found = frozenset(places)
    names = list(dict.fromkeys(single["experiment"]))
    is_classifier = all(experiments[name]["scenario"] == "classifier" for name in names)
    return Column(", ".join(names) if is_classifier else label.replace("`", ""), cells, found)


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
