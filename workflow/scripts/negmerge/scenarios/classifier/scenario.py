"""A classifier forgets some of its training images, and should be as if it had never seen them."""

import math
import statistics
from collections.abc import Mapping, Sequence

from negmerge.scenarios.base import (
    ACCURACY_ERROR,
    Metric,
    Number,
    Reader,
    Scenario,
    accuracy,
    share_variance,
)

# What the average gap is the mean of, as in the paper.
GAP_OF = ("retain", "forget", "test", "mia")
# The role of the test images of forgotten classes, where classes are forgotten.
FORGET_TEST = "forget_test"
# The feature of the attack that the papers report.
MIA = "confidence"


def attack(feature: str) -> Reader:
    """Return a metric's function that reads an attack, in percent of the forget images."""

    def of(record: Mapping, _: Mapping | None) -> Number:
        success = record["membership"]
        share = success[feature] if feature == MIA else success.get(feature)
        if share is None:
            return Number(None)
        return Number(share, share_variance(share / 100, record["forget"]["n"]))

    return of


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


GAP_AND_PARTS = (
    Metric("retain", "retain accuracy", "%", "reference", accuracy("retain")),
    Metric("forget", "forget accuracy", "%", "reference", accuracy("forget")),
    Metric("test", "test accuracy", "%", "reference", accuracy("test")),
    Metric("mia", "membership attack", "%", "reference", attack(MIA)),
    Metric(
        "gap", "average gap", "points", "lower", gap_of_one,
        over=lambda records, references: {"value": gap(records, references)}, parts=GAP_OF,
    ),
)  # fmt: skip


def describe(experiment: Mapping) -> tuple[str, str]:
    """Say which training images are forgotten, in how many trials."""
    forget, trials = experiment["forget"], experiment["trials"]
    part = "given images" if forget["rule"] == "given" else f"{100 * forget['share']:g} %"
    if forget["classes"]:
        part = f"the class{'es' * (len(forget['classes']) > 1)} {', '.join(forget['classes'])}"
    plural = "s" if trials > 1 else ""
    dataset = experiment["dataset"]
    return f"{part} of {dataset}, {trials} trial{plural}", f"the rest of {dataset}"


SCENARIO = Scenario(
    name="classifier",
    roles=("forget", "retain", "test"),
    kinds=("base", "retrain", "single", "greedy", "merge", "unlearn"),
    base="original",
    criteria={
        "retain": "among the coefficients that keep at least {keep} of the original's retain "
        "accuracy, the one with the lowest forget accuracy, both on training images; among equals "
        "the smallest",
        "gap": "the one with the smallest average gap to Retrain, on forget, retain and test "
        "images; it needs Retrain and test data, which nobody has who must forget",
        "unlabelled": "the one whose predictions agree best among test images with alike features, "
        "whose labels it does not read (the score of CUTS); it knows nothing of the forget set",
    },
    metrics=GAP_AND_PARTS,
    headline="gap",
    same_items={
        "retain": ("experiment", "seed", "task"),
        "forget": ("experiment", "seed", "task"),
        "test": ("experiment",),
    },
    knows=("Original", "Retrain"),
    says="has {share:.2f} % of the forget images right",
    error=ACCURACY_ERROR,
    story="A classifier forgets some of its training images: good unlearning ends close to "
    "Retrain, the model that was trained without them.",
    describe=describe,
    aims_at_retrain=True,
    tasks_repeat=True,
)
