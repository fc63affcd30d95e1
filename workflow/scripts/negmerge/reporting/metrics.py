"""What the cells of tables measure."""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from negmerge.checkpoints.divergence import is_nothing_left
from negmerge.errors import UserError
from negmerge.reporting.records import place_of

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
    """Return a metric's function that reads an attack, in percent of the forget images.

    A study may leave out all features but the one that the papers report.
    """

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
    from negmerge.evaluation.gap import average_gap

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
