"""What the outcomes of single images add to the cells of a table's column."""

from collections.abc import Mapping, Sequence

from negmerge.evaluation.outcomes import Outcomes
from negmerge.reporting.amount import amount, is_little
from negmerge.reporting.metrics import BASES, MEAN, RETRAIN, TO_FORGET, Metric
from negmerge.reporting.ranking import gap_errors, rank, values

Place = tuple[str, str]


def amount_cells(
    kind: str | None, places: Sequence[Place], outcomes: Mapping[tuple, Outcomes]
) -> list[dict]:
    """Give how much there is to forget as cells without a row: the mean of all places, then each.

    None where there are no outcomes, or an experiment has no base among its methods.

    Args:
        kind: what is scored, from `metrics.scored`.
        places: experiment and task of each cell that is averaged.
        outcomes: by experiment, task and method.
    """
    means = [((MEAN, MEAN), places), *((place, [place]) for place in places)]
    found = [(where, amount(kind, which, outcomes)) for where, which in means] if outcomes else []
    if any(one is None for _, one in found):
        return []
    labels = {"method": BASES.get(kind), "metric": TO_FORGET, "unit": "points"}
    return [
        labels | {"experiment": experiment, "task": task} | one for (experiment, task), one in found
    ]


class Judged:
    """The comparisons of a column's rows, and the errors of their gaps.

    Args:
        kind: what is scored, from `metrics.scored`.
        places: experiment and task of each cell that is averaged.
        shown: the scores of each row, one for each place, by method.
        references: the scores of Retrain, which need not be a row; None in the scenario zero-shot.
        outcomes: by experiment, task and method; without any there is nothing.
        amounts: from `amount_cells`; where there is little to forget, no row is `with_best`.
    """

    def __init__(
        self,
        kind: str | None,
        places: Sequence[Place],
        shown: Mapping[str, Sequence[Mapping]],
        references: Sequence[Mapping] | None,
        outcomes: Mapping[tuple, Outcomes],
        amounts: Sequence[Mapping],
    ):
        rows = dict(shown) if references is None else {**shown, RETRAIN: references}
        self._methods = list(rows)
        self._ranks, self._errors = {}, None
        if not outcomes or kind is None:
            return
        found = values(kind, places, list(rows.values()), outcomes)
        self._ranks = rank(kind, found, self._methods)
        if kind == "gap":
            self._errors = gap_errors(found, self._methods)
        if amounts and is_little(amounts[0]["value"], amounts[0]["p_value"]):
            for rows in self._ranks.values():
                for row in rows:
                    row.pop("with_best", None)

    def mean(self, method: str, metric: Metric) -> dict:
        """Give what there is of a row's mean over all places."""
        rows = self._ranks.get(metric.name)
        return rows[self._methods.index(method)] if rows else {}

    def single(self, method: str, metric: Metric, place: int) -> dict:
        """Give what there is of a row's cell in one place."""
        if self._errors is None or metric.name != "gap" or method == RETRAIN:
            return {}
        return {"standard_error": float(self._errors[place, self._methods.index(method)])}
