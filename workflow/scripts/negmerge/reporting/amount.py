"""How much there is to forget: what the model knows of it beyond one that never saw it."""

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
)
from negmerge.reporting.metrics import BASES, RETRAIN

Place = tuple[str, str]
# Points of forget accuracy between the model and Retrain, or chance, below which no row ranks,
# however many images there are: it is all that forgetting can win. Of an average gap that is a
# quarter by forget accuracy, and as a rule as much by the attack; with 5 points 2.5 in all, which
# the methods of a table share out among them, while each training has luck of its own.
FEW_POINTS = 5.0


def amount(
    kind: str, places: Sequence[Place], outcomes: Mapping[tuple[str, str, str], Outcomes]
) -> dict | None:
    """Compare what the model knows of the forget images with a model that never saw them.

    Of a classifier that is Original against Retrain, on the same images: the error is paired, and p
    is McNemar's, over all trials. In the scenario zero-shot it is the base against guessing among
    the classes.

    Args:
        kind: `gap` or `accuracy`, the kind of the table.
        places: experiments and tasks, of which the mean is taken.
        outcomes: by experiment, task and method.

    Returns:
        `value`, the difference in points, positive where there is something to forget; `reference`,
        what Retrain or guessing gets right, in percent; `standard_error`, in points; `p_value`,
        two-sided; `averaged` and `images`. None where an experiment has no base among its methods.
    """
    base = BASES[kind]
    if any((*place, base) not in outcomes for place in places):
        return None
    models = [outcomes[*place, base] for place in places]
    known = [model.right("forget") for model in models]
    if kind == "gap":
        unseen = [_retrain(place, outcomes).right("forget") for place in places]
        errors = [paired_error(*both) for both in zip(known, unseen, strict=True)]
        p = mcnemar(np.concatenate(known), np.concatenate(unseen))
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
    """Say whether there is so little to forget that no row of a table ranks.

    Args:
        value: the difference in points.
        p_value: that it is none.
    """
    return value < FEW_POINTS or p_value > SIGNIFICANCE
