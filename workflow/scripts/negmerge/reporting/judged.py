"""What single images show of a table's column: how much there is to forget, and which rows rank."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import Outcomes
from negmerge.evaluation.uncertainty import (
    SIGNIFICANCE,
    beyond_chance,
    binomial_error,
    mcnemar,
    paired_error,
    paired_p,
)
from negmerge.reporting.metrics import MEAN, TO_FORGET
from negmerge.reporting.ranking import gap_errors, rank, values
from negmerge.reporting.scores import Scores
from negmerge.settings.methods import RETRAIN

Place = tuple[str, str]
# Points of forget accuracy between the model and Retrain, or chance, below which no row ranks,
# however many images there are: it is all that forgetting can win. Of an average gap that is a
# quarter by forget accuracy, and as a rule as much by the attack; with 5 points 2.5 in all, which
# the methods of a table share out among them, while each training has luck of its own.
FEW_POINTS = 5.0


def amount(
    scores: Scores, places: Sequence[Place], outcomes: Mapping[tuple[str, str, str], Outcomes]
) -> dict | None:
    """Compare what the model knows of the forget images with a model that never saw them.

    For a classifier and a language model that is Original against Retrain, on the same items: the
    error is paired, and p is McNemar's or the bootstrap's, over all trials. In the scenario
    zero-shot it is the base against guessing among the classes.
    """
    if any((*place, method) not in outcomes for place in places for method in scores.needed):
        return None
    models = [outcomes[*place, scores.base] for place in places]
    known = [model.right("forget") for model in models]
    if scores.has_retrain:
        unseen = [_retrain(place, outcomes).right("forget") for place in places]
        errors = [paired_error(*both) for both in zip(known, unseen, strict=True)]
        test = mcnemar if scores.is_counted else paired_p
        p = test(np.concatenate(known), np.concatenate(unseen))
        expected = [right.mean() for right in unseen]
    else:
        expected = [1 / model.classes["forget"] for model in models]
        errors = [binomial_error(right.mean(), len(right)) for right in known]
        p = beyond_chance([right.mean() for right in known], list(map(len, known)), expected)
    shares = [right.mean() for right in known]
    return {
        "value": 100 * (math.fsum(shares) - math.fsum(expected)) / len(places),
        "reference": 100 * math.fsum(expected) / len(places),
        "standard_error": 100 * math.sqrt(sum(error**2 for error in errors)) / len(places),
        "p_value": p,
        "averaged": len(places),
        "images": sum(map(len, known)),
    }


def _retrain(place: Place, outcomes: Mapping[tuple[str, str, str], Outcomes]) -> Outcomes:
    if (*place, RETRAIN) not in outcomes:
        raise UserError(f"no outcomes of {'/'.join((*place, RETRAIN))}, expected those of Retrain")
    return outcomes[*place, RETRAIN]


def is_little(value: float, p_value: float) -> bool:
    """Whether there is so little to forget that no row of a table ranks."""
    return value < FEW_POINTS or p_value > SIGNIFICANCE


def amount_cells(
    scores: Scores | None, places: Sequence[Place], outcomes: Mapping[tuple, Outcomes]
) -> list[dict]:
    """Return how much there is to forget as cells without a row: the mean, then each place.

    None where there are no outcomes, or an experiment has no base among its methods.
    """
    if scores is None or not outcomes:
        return []
    means = [((MEAN, MEAN), places), *((place, [place]) for place in places)]
    found = [(where, amount(scores, which, outcomes)) for where, which in means]
    if any(one is None for _, one in found):
        return []
    labels = {"method": scores.base, "metric": TO_FORGET, "unit": "points"}
    return [
        labels | {"experiment": experiment, "task": task} | one for (experiment, task), one in found
    ]


def judge(
    scores: Scores | None,
    places: Sequence[Place],
    shown: Mapping[str, Sequence[Mapping]],
    references: Sequence[Mapping] | None,
    outcomes: Mapping[tuple, Outcomes],
    amounts: Sequence[Mapping],
) -> dict[tuple[str, str, int | None], dict]:
    """Compare the rows of a column, and give the errors of their gaps."""
    if not outcomes or scores is None or not shown:
        return {}
    rows = dict(shown) if references is None else {**shown, RETRAIN: references}
    methods = list(rows)
    found = values(scores, places, list(rows.values()), outcomes)
    judged = {
        (method, metric, None): dict(of_row)
        for metric, of_rows in rank(scores, found, methods).items()
        for method, of_row in zip(methods, of_rows, strict=True)
    }
    if amounts and is_little(amounts[0]["value"], amounts[0]["p_value"]):
        for of_row in judged.values():
            of_row.pop("with_best", None)
    if scores.with_retrain:
        for (place, row), error in np.ndenumerate(gap_errors(scores, found, methods)):
            if methods[row] != RETRAIN:
                judged[methods[row], "gap", place] = {"standard_error": float(error)}
    return judged
