"""What the cells of language models measure: the answers to questions."""

import math
from collections.abc import Callable, Mapping
from functools import partial

from negmerge.reporting.metrics import Metric, Number

# How coefficients are chosen, and what the standard errors are.
RULES = {
    "retain": "among the coefficients and settings that keep at least {keep} of the original's "
    "retain probability, the one with the lowest forget probability (of both the extraction "
    "strength, where the study says `measure: extraction`); among equals the smallest. The retain "
    "questions that choose are not those that are scored; the forget questions are the same, since "
    "all of them are to be forgotten"
}
ERROR = (
    "±: standard deviation over the questions / sqrt(their number), in percentage points. It "
    "leaves out the spread between training runs."
)


def answers(role: str, name: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that reads a mean over the questions of a role, in percent.

    It is missing where the data set has no such questions, or no answers that it takes.
    """

    def of(record: Mapping, _: Mapping | None) -> Number:
        found = record["answers"].get(role, {}).get(name)
        if found is None:
            return Number(None)
        return Number(100 * found["mean"], (100 * found["error"]) ** 2, found["n"])

    return of


def _utility(record: Mapping, _: Mapping | None) -> Number:
    return _percent(record["utility"])


def _quality(record: Mapping, reference: Mapping | None, part: str) -> Number:
    """Compare the truth ratios with those of the model that never saw the forget questions."""
    from negmerge.evaluation.language import forget_quality

    if reference is None or not record["truth_ratios"]:
        return Number(None)
    found = forget_quality(record["truth_ratios"], reference["truth_ratios"])
    value = found.log10 if part == "p" else found.distance
    return Number(value, images=len(record["truth_ratios"]))


def _attack(record: Mapping, _: Mapping | None, name: str) -> Number:
    found = record.get("attacks", {}).get(name)
    return _percent(found)


def _privleak(record: Mapping, reference: Mapping | None) -> Number:
    """Compare the attack with its success on the model that never saw the forget questions."""
    from negmerge.evaluation.language import privleak, privleak_error

    if reference is None or "attacks" not in record:
        return Number(None)
    both = record, reference
    value = privleak(*(one["attacks"]["min_k"]["value"] for one in both))
    sides = [[one["min_k"][role] for role in ("forget", "holdout")] for one in both]
    error = privleak_error(*sides)
    return Number(value, None if math.isnan(error) else error**2)


def _reference_attack(record: Mapping, reference: Mapping | None) -> Number:
    """Attack the losses, compared with those of the model that never saw the forget questions."""
    from negmerge.evaluation.language import (
        membership_auc,
        membership_auc_error,
        reference_scores,
    )

    if reference is None or "attacks" not in record:
        return Number(None)
    losses = record["losses"], reference["losses"]
    sides = [reference_scores(*(one[role] for one in losses)) for role in ("forget", "holdout")]
    return _percent({"value": membership_auc(*sides), "error": membership_auc_error(*sides)})


def _percent(found: Mapping | None) -> Number:
    """Return a share with its standard error, where there is one, in percent."""
    if found is None:
        return Number(None)
    return Number(100 * found["value"], (100 * found["error"]) ** 2)


PROBABILITIES = (
    Metric("forget", "forget probability", "%", "lower", answers("forget", "probability")),
    Metric("retain", "retain probability", "%", "higher", answers("retain", "probability")),
)
EXTRACTION = Metric(
    "extraction", "forget extraction strength", "%", "lower", answers("forget", "extraction")
)
FURTHER = (
    Metric(
        "retain_extraction", "retain extraction strength", "%", "higher",
        answers("retain", "extraction"),
    ),
    Metric("rouge", "forget ROUGE-L recall", "%", "lower", answers("forget", "rouge")),
    Metric("retain_rouge", "retain ROUGE-L recall", "%", "higher", answers("retain", "rouge")),
    Metric(
        "truth", "forget truth ratio", "%", "higher", answers("forget", "truth"), optional=True
    ),
    Metric("utility", "model utility", "%", "higher", _utility, optional=True),
    Metric(
        "quality", "forget quality", "log10 p", "higher", partial(_quality, part="p"),
        optional=True,
    ),
    Metric(
        "distance", "distance of truth ratios from Retrain's", "KS", "lower",
        partial(_quality, part="distance"), optional=True,
    ),
    Metric("privleak", "privleak", "%", "", _privleak, optional=True),
    Metric(
        "memorisation", "forget exact memorisation", "%", "lower",
        answers("forget", "memorisation"), printed=False,
    ),
    *(
        Metric(
            f"auc_{name}", f"area under the curve of the attack {name}", "%", "",
            partial(_attack, name=name), printed=False,
        )
        for name in ("loss", "zlib", "min_k", "min_k_plus_plus")
    ),
    Metric(
        "auc_reference", "area under the curve of the attack reference", "%", "",
        _reference_attack, printed=False,
    ),
    *(
        Metric(
            f"{role.replace('-', '_')}_{name}", f"{role.replace('-', ' ')} {label}", "%", better,
            answers(role, name), printed=False,
        )
        for role, better in (("holdout", ""), ("real-authors", "higher"), ("world-facts", "higher"))
        for name, label in (
            ("probability", "probability"), ("rouge", "ROUGE-L recall"), ("truth", "truth ratio"),
        )
    ),
)  # fmt: skip
