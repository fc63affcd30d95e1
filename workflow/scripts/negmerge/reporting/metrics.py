"""The records that tables and figures are made of, what cells measure, and how models compare."""

import math
import statistics
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from negmerge.checkpoints.divergence import is_nothing_left
from negmerge.errors import UserError
from negmerge.files import read_json_records
from negmerge.settings.methods import BASES, RETRAIN

# What each of them is of.
LABELS = ("experiment", "task", "method")

T = TypeVar("T")


def read_records(path: str | Path) -> list[dict]:
    """Read records of methods: one for each rule that chose, or one that holds for all."""
    return read_json_records(path, LABELS)


def read_main_records(paths: Iterable[str | Path]) -> list[dict]:
    """Read the record of the experiment's main rule for each method; it is the first."""
    return [read_records(path)[0] for path in paths]


def place_of(record: Mapping) -> tuple[str, str, str]:
    """Return the experiment, task and method of a record."""
    return tuple(record[label] for label in LABELS)


def of_rule(
    found: Iterable[tuple[tuple[str, str, str], str | None, T]], rule: str | None
) -> dict[tuple[str, str, str], T]:
    """Keep what one rule chose, and what no rule chose and so holds for every rule."""
    kept, rules = {}, set()
    for place, own, one in found:
        if (place, own) in rules:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        rules.add((place, own))
        if own is None or rule is None or own == rule:
            kept.setdefault(place, one)
    return kept


# How much there is to forget: a number of a table's column, not of a row.
TO_FORGET = "to_forget"
# The columns `experiment` and `task` of a number that is a mean over them.
MEAN = "mean"
# What the average gap is the mean of, as in the paper.
GAP_OF = ("retain", "forget", "test", "mia")
# The role of the test images of forgotten classes, where classes are forgotten.
FORGET_TEST = "forget_test"
# The feature of the attack that the papers report.
MIA = "confidence"


@dataclass(frozen=True)
class Number:
    """One number of one record: its value, its variance and the images behind it, if it has any.

    The value is missing (None) if something took longer than the limit, or there is no model.
    """

    value: float | None
    variance: float | None = None
    images: int | None = None


@dataclass(frozen=True)
class Metric:
    """What a cell measures."""

    name: str  # as in the files of published cells
    label: str  # for people
    unit: str  # `%`, `points` or another; nothing for a count
    better: str  # `lower`, `higher`, `reference` (close to that of Retrain), or nothing
    # Reads it from a record; the second argument is Retrain's record, if there is one.
    of: Callable[[Mapping, Mapping | None], Number]
    # Gives what replaces the mean and standard deviation over records, from these and those of
    # Retrain.
    over: Callable[[Sequence[Mapping], Sequence[Mapping] | None], Mapping] | None = None
    printed: bool = True  # whether people see it; otherwise it is only in the CSV file
    # How its numbers are printed; None: with two decimals, counts as whole numbers.
    spell: Callable[[float | None], str] | None = None
    optional: bool = False  # whether nothing is printed where no row has a value

    def measure(self, record: Mapping, reference: Mapping | None = None) -> Number:
        """Read it from a record."""
        if is_nothing_left(record):
            return Number(None)
        try:
            return self.of(record, reference)
        except (KeyError, TypeError) as error:
            raise UserError(
                f"record of {'/'.join(map(str, place_of(record)))}: the {self.label} cannot be "
                f"read ({error!r}); delete the file and run again"
            ) from error


def read(key: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that reads a number as it is in a record."""
    return lambda record, _: Number(record[key])


def accuracy(role: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that reads the share of right answers on the images of a role."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        correct, n = record[role]["correct"], record[role]["n"]
        if not 0 <= correct <= n or n == 0:
            place = "/".join(place_of(record))
            raise UserError(f"score of {place}: {role}: {correct} right of {n} images")
        return Number(100 * correct / n, _variance(correct / n, n), n)

    return of


def attack(feature: str) -> Callable[[Mapping, Mapping | None], Number]:
    """Return a metric's function that reads an attack, in percent of the forget images."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        found = record["membership"]
        share = found[feature] if feature == MIA else found.get(feature)
        if share is None:
            return Number(None)
        return Number(share, _variance(share / 100, record["forget"]["n"]))

    return of


def _variance(share: float, n: int) -> float:
    from negmerge.evaluation.uncertainty import binomial_error

    return (100 * binomial_error(share, n)) ** 2


def means(records: Sequence[Mapping]) -> dict[str, float]:
    """Average each part of the gap; NaN where one of the records has no model."""
    parts = [metric for metric in GAP_AND_PARTS if metric.name in GAP_OF]
    values = {part.name: [part.measure(record).value for record in records] for part in parts}
    return {
        name: math.nan if None in of_part else statistics.fmean(of_part)
        for name, of_part in values.items()
    }


def gap(records: Sequence[Mapping], references: Sequence[Mapping]) -> float:
    """Return the average gap of records' means to those of Retrain, as the paper computes it."""
    from negmerge.evaluation.outcomes import average_gap

    return average_gap(means(records), means(references))


def gap_of_one(record: Mapping, reference: Mapping) -> Number:
    """Return the average gap of one record."""
    return Number(gap([record], [reference]))


def of_forgotten_classes(record: Mapping, reference: Mapping | None) -> Number:
    """Read the accuracy on their test images; missing where no classes are forgotten."""
    return accuracy(FORGET_TEST)(record, reference) if FORGET_TEST in record else Number(None)


ACCURACIES = (
    Metric("forget", "forget accuracy", "%", "lower", accuracy("forget")),
    Metric("control", "control accuracy", "%", "higher", accuracy("control")),
)
GAP_AND_PARTS = (
    Metric("retain", "retain accuracy", "%", "reference", accuracy("retain")),
    Metric("forget", "forget accuracy", "%", "reference", accuracy("forget")),
    Metric("test", "test accuracy", "%", "reference", accuracy("test")),
    Metric("mia", "membership attack", "%", "reference", attack(MIA)),
    Metric(
        "gap", "average gap", "points", "lower", gap_of_one,
        over=lambda records, references: {"value": gap(records, references)},
    ),
)  # fmt: skip


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
    """Return a metric's function that reads a mean over the questions of a role, in percent."""

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


@dataclass(frozen=True)
class Scores:
    """How the models of a scenario are scored and compared."""

    metrics: tuple[Metric, ...]  # what single items can decide
    leading: str  # the name of the one in a report's first lines
    base: str  # the method that leaves the model as it is
    with_retrain: bool  # whether closeness to Retrain is what the others are compared by
    # Which parts of a place (0: experiment, 1: task) tell the items of a role apart: all tasks
    # share a control set, and all trials the test images.
    same_images: Mapping[str, tuple[int, ...]]
    knows: tuple[str, str]  # the model that knows what is forgotten, and the one that does not
    # What that means, with `{share}` in percent.
    says: str = "has {share:.2f} % of the forget images right"
    items: str = "images"  # what is scored

    @property
    def is_counted(self) -> bool:
        """Whether each item is right or wrong, and not something between."""
        return self.items == "images"

    @property
    def needed(self) -> tuple[str, ...]:
        """The methods without which it is not known how much there is to forget."""
        return (self.base,) if self.is_counted else (self.base, RETRAIN)

    @property
    def has_retrain(self) -> bool:
        """Whether it is Retrain that does not know what is forgotten."""
        return self.knows[1] == "Retrain"


ZERO_SHOT = Scores(
    ACCURACIES, "forget", BASES[0], False, {"forget": (1,), "control": ()}, ("the base", "guessing")
)
CLASSIFIER = Scores(
    GAP_AND_PARTS, "gap", BASES[1], True,
    {"retain": (0, 1), "forget": (0, 1), "test": (0,)}, ("Original", "Retrain"),
)  # fmt: skip
LANGUAGE = Scores(
    PROBABILITIES, "forget", BASES[1], False, {"forget": (0, 1), "retain": (0, 1)},
    ("Original", "Retrain"), "gives the forget answers a probability of {share:.2f} %", "questions",
)  # fmt: skip


def scores_of(names: Collection[str]) -> Scores | None:
    """Return the scoring that a column's metrics belong to; None if it shows no scores."""
    marks = {"gap": CLASSIFIER, "control": ZERO_SHOT, EXTRACTION.name: LANGUAGE}
    return next((scores for mark, scores in marks.items() if mark in names), None)
