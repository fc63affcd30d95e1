"""What single items show of a column: how much there is to forget, and which rows rank."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from negmerge.errors import UserError
from negmerge.evaluation.outcomes import RIGHT, UNSEEN, Outcomes
from negmerge.evaluation.uncertainty import (
    RESAMPLES,
    SIGNIFICANCE,
    beyond_chance,
    binomial_error,
    bootstrap_means,
    differs_over_trials,
    mcnemar,
    paired_error,
    paired_p,
    two_sided,
)
from negmerge.reporting.records import MEAN, TO_FORGET
from negmerge.scenarios.base import Metric, Scenario, place_of
from negmerge.settings.methods import RETRAIN

Place = tuple[str, str]
# The same resamples for each column of each table.
SEED = 0
NEGMERGE = "negmerge"
# Digits of a difference in points: beyond them only the order of a sum is left.
EXACT = 9


@dataclass(frozen=True)
class Values:
    """What the rows of a column reach, in percent."""

    places: Sequence[Place]  # experiment and task of each cell that is averaged
    measured: Mapping[str, np.ndarray]  # (places, rows) by measure: the roles, and `mia`
    # (resamples, places, rows) by measure, with the images of each role drawn anew; all rows get
    # the same ones. The verdicts of the attack stay: its classifier is not trained anew.
    drawn: Mapping[str, np.ndarray]
    outcomes: Sequence[Sequence[Outcomes]]  # of each row, by place


def values(
    scenario: Scenario,
    places: Sequence[Place],
    rows: Sequence[Sequence[Mapping]],
    outcomes: Mapping[tuple, Outcomes],
) -> Values:
    generator = np.random.default_rng(SEED)
    of_rows = [[_outcomes(scenario, record, outcomes) for record in records] for records in rows]
    measured, drawn = {}, {}
    for role in scenario.same_items:
        arrays = {role: role + RIGHT}
        if role == "forget" and scenario.aims_at_retrain:
            arrays["mia"] = UNSEEN
        for name in arrays:
            measured[name] = np.empty((len(places), len(rows)))
            drawn[name] = np.empty((RESAMPLES, len(places), len(rows)))
        # The places that share their images of the role.
        sizes = [len(of_place.right(role)) for of_place in of_rows[0]]
        for group in scenario.groups(role, places, sizes):
            items = [
                row[place].arrays[name]
                for name in arrays.values()
                for place in group
                for row in of_rows
            ]
            counts = sorted(set(map(len, items)))
            if len(counts) > 1:
                raise UserError(
                    f"{'/'.join(places[group[0]])}: scores of {counts[0]} and of {counts[1]} "
                    f"{role} {scenario.items}, expected the same; delete the scores and run again"
                )
            images = np.stack(items, axis=1)  # (items, arrays x places x rows)
            split = (len(arrays), len(group), len(rows))
            means = 100 * bootstrap_means(images, generator).reshape(RESAMPLES, *split)
            actual = 100 * images.mean(axis=0).reshape(split)
            for number, name in enumerate(arrays):
                measured[name][group] = actual[number]
                drawn[name][:, group] = means[:, number]
    return Values(places, measured, drawn, of_rows)


def _outcomes(scenario: Scenario, record: Mapping, outcomes: Mapping[tuple, Outcomes]) -> Outcomes:
    """Find the outcomes of a score, and check that they count what it counts."""
    place = place_of(record)
    if place not in outcomes:
        raise UserError(f"no outcomes of {'/'.join(place)}, expected those of its score")
    for role in scenario.same_items:
        right, score = outcomes[place].right(role), record[role]
        if (right.sum(), len(right)) != (score["correct"], score["n"]):
            raise UserError(
                f"{'/'.join(place)}: {role}: {right.sum()} right of {len(right)} images by the "
                f"outcomes, {score['correct']} of {score['n']} by the score; delete both, run again"
            )
    return outcomes[place]


def distance(metric: Metric, of: Mapping[str, np.ndarray], retrain: int | None) -> np.ndarray:
    """Return how far each row is from the best that there can be: smaller is better."""
    if metric.parts:
        distances = [abs(of[name] - of[name][..., [retrain]]) for name in metric.parts]
        return np.mean(distances, axis=0).round(EXACT)
    reached = of[metric.name]
    if metric.better == "reference":
        reached = abs(reached - reached[..., [retrain]])
    return (-reached if metric.better == "higher" else reached).round(EXACT)


def rank(
    scenario: Scenario, metric: Metric, column: Values, methods: Sequence[str]
) -> dict[str, dict]:
    """Compare each row of a column with the best one by a metric, and with NegMerge.

    Retrain is what the others are compared with, and no row of its own. p is the exact McNemar
    test's for an accuracy of one cell, otherwise that of the bootstrap; where there are several
    trials, it is that of the t-test over them if this is larger, since images alone do not tell
    what another training would have given. Rows are not corrected for their number.
    """
    retrain = methods.index(RETRAIN) if RETRAIN in methods else None
    rivals = [number for number in range(len(methods)) if number != retrain]
    if len(rivals) < 2:
        return {}
    reached = distance(metric, _means(column.measured), retrain)
    drawn = distance(metric, _means(column.drawn), retrain)
    trials = _of_trials(scenario, metric, column, retrain)
    is_one_accuracy = len(column.places) == 1 and retrain is None and scenario.is_counted

    def differs(row: int, other: int) -> float:
        p = float(two_sided(drawn[:, row] - drawn[:, other]))
        if is_one_accuracy:
            p = mcnemar(*(column.outcomes[side][0].right(metric.name) for side in (row, other)))
        if len(trials) > 1:
            p = max(p, differs_over_trials(trials[:, row] - trials[:, other]))
        return p

    best = min(rivals, key=lambda row: reached[row])
    ranked = {}
    for row in rivals:
        p = differs(row, best)
        ranked[methods[row]] = {"p_value": p, "with_best": p > SIGNIFICANCE}
        if NEGMERGE in methods and methods[row] != NEGMERGE:
            ranked[methods[row]]["p_negmerge"] = differs(row, methods.index(NEGMERGE))
        if metric.parts:
            ranked[methods[row]]["standard_error"] = float(drawn[:, row].std(ddof=1))
    return ranked


def _means(of: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: numbers.mean(axis=-2) for name, numbers in of.items()}


def _of_trials(
    scenario: Scenario, metric: Metric, column: Values, retrain: int | None
) -> np.ndarray:
    """Return the distances in each trial: a task where tasks repeat, otherwise an experiment."""
    if scenario.tasks_repeat:
        return distance(metric, column.measured, retrain)
    names = np.array([experiment for experiment, _ in column.places])
    trials = [
        _means({measure: of[names == name] for measure, of in column.measured.items()})
        for name in dict.fromkeys(names)
    ]
    return np.array([distance(metric, of_trial, retrain) for of_trial in trials])


# Points of forget accuracy between the model and Retrain, or chance, below which no row ranks,
# however many images there are: it is all that forgetting can win. Of an average gap that is a
# quarter by forget accuracy, and as a rule as much by the attack; with 5 points 2.5 in all, which
# the methods of a table share out among them, while each training has luck of its own.
FEW_POINTS = 5.0


def amount(scenario: Scenario, places: Sequence[Place], outcomes: Mapping[tuple, Outcomes]) -> dict:
    """Compare what the model knows of the forget images with a model that never saw them.

    For a classifier and a language model that is Original against Retrain, on the same items: the
    error is paired, and p is McNemar's or the bootstrap's, over all trials. In the scenario
    zero-shot it is the base against guessing among the classes. An item of several seeds counts
    once, with its mean.
    """
    models = [outcomes[*place, scenario.base] for place in places]
    sizes = [len(model.right("forget")) for model in models]
    groups = scenario.groups("forget", places, sizes)
    known = _item_means(models, groups)
    counts, shares = list(map(len, known)), [items.mean() for items in known]
    if scenario.has_retrain:
        for place in places:
            if (*place, RETRAIN) not in outcomes:
                raise UserError(f"no outcomes of {'/'.join((*place, RETRAIN))}, expected Retrain's")
        unseen = _item_means([outcomes[*place, RETRAIN] for place in places], groups)
        errors = [paired_error(*both) for both in zip(known, unseen, strict=True)]
        test = mcnemar if scenario.is_counted else paired_p
        p = test(np.concatenate(known), np.concatenate(unseen))
        expected = [items.mean() for items in unseen]
    else:
        expected = [1 / models[group[0]].classes["forget"] for group in groups]
        errors = list(map(binomial_error, shares, counts))
        p = beyond_chance(shares, counts, expected)
    weights = [len(group) / len(places) for group in groups]
    reference = 100 * float(np.dot(weights, expected))
    return {
        "value": 100 * float(np.dot(weights, shares)) - reference,
        "reference": reference,
        "standard_error": 100 * math.hypot(*np.multiply(weights, errors)),
        "p_value": p,
        "averaged": len(places),
        "images": sum(counts),
    }


def _item_means(models: Sequence[Outcomes], groups: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Average what the models of each group make of each forget item."""
    return [np.mean([models[n].right("forget") for n in group], axis=0) for group in groups]


def is_little(value: float, p_value: float) -> bool:
    """Whether there is so little to forget that no row of a table ranks."""
    return value < FEW_POINTS or p_value > SIGNIFICANCE


def amount_cells(
    scenario: Scenario | None, places: Sequence[Place], outcomes: Mapping[tuple, Outcomes]
) -> list[dict]:
    """Return how much there is to forget as cells without a row: the mean, then each place."""
    if scenario is None or not outcomes:
        return []
    if any((*place, method) not in outcomes for place in places for method in scenario.needed):
        return []
    labels = {"method": scenario.base, "metric": TO_FORGET, "unit": "points"}
    return [
        labels | {"experiment": experiment, "task": task} | amount(scenario, of, outcomes)
        for (experiment, task), of in [((MEAN, MEAN), places), *((x, [x]) for x in places)]
    ]


def compare(
    scenario: Scenario | None,
    places: Sequence[Place],
    shown: Mapping[str, Sequence[Mapping]],
    references: Sequence[Mapping] | None,
    outcomes: Mapping[tuple, Outcomes],
    amounts: Sequence[Mapping],
) -> dict[tuple[str, str, int | None], dict]:
    """Compare the rows of a column, by method, metric and number of the place (None: the mean)."""
    if not outcomes or scenario is None or not shown:
        return {}
    rows = dict(shown) if references is None else {**shown, RETRAIN: references}
    methods = list(rows)
    reached = values(scenario, places, list(rows.values()), outcomes)
    compared = {
        (method, metric.name, None): cell
        for metric in scenario.compared_metrics
        for method, cell in rank(scenario, metric, reached, methods).items()
    }
    if amounts and is_little(amounts[0]["value"], amounts[0]["p_value"]):
        for cell in compared.values():
            cell.pop("with_best", None)
    if scenario.aims_at_retrain:
        gap = scenario.headline_metric
        errors = distance(gap, reached.drawn, methods.index(RETRAIN)).std(axis=0, ddof=1)
        for (place, row), error in np.ndenumerate(errors):
            if methods[row] != RETRAIN:
                compared[methods[row], gap.name, place] = {"standard_error": float(error)}
    return compared
