"""Distance to Retrain in what classifiers still know (classifier)."""

import math
import statistics
from collections.abc import Collection, Sequence
from dataclasses import replace

from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric, Number, accuracy
from negmerge.scenarios.classifier.scenario import (
    FORGET_TEST,
    GAP_AND_PARTS,
    SCENARIO,
    attack,
    gap_of_one,
)
from negmerge.settings.methods import RETRAIN

TOO_LONG = "longer"


def relearned(records) -> dict:
    """Return the median and the range of relearn times, over all seeds of all records."""
    times = [
        math.inf if epochs is None else epochs
        for record in records
        for epochs in record.get("relearn", {}).get("epochs", [])
    ]
    if not times:
        return {"value": None}
    ends = {"value": statistics.median(times), "lowest": min(times), "highest": max(times)}
    known = {name: epochs if math.isfinite(epochs) else None for name, epochs in ends.items()}
    return known | {"runs": len(times)}


def relearned_beside_retrain(records, references) -> dict:
    """Return it with Retrain's median, if any; runs of one model are not trials, so no `std`."""
    own = {"std": None, "reference": relearned(references or ())["value"]}
    return own | relearned(records)


RELEARN = Metric(
    "relearn", "relearn time", "epochs", "reference",
    of=lambda record, _: Number(relearned([record])["value"]),
    over=relearned_beside_retrain,
    spell=lambda epochs: TOO_LONG if epochs is None else f"{epochs:g}",
    optional=True,
)  # fmt: skip
FURTHER_ATTACKS = tuple(
    Metric(
        f"mia_{feature}", f"membership attack by {feature}", "%", "reference",
        attack(feature), printed=False,
    )
    for feature in ("correctness", "entropy", "m_entropy_official", "m_entropy", "prob")
)  # fmt: skip
OF_FORGOTTEN_CLASSES = Metric(
    FORGET_TEST, "test accuracy of forgotten classes", "%", "reference",
    lambda record, _: accuracy(FORGET_TEST)(record, _) if FORGET_TEST in record else Number(None),
)  # fmt: skip


def with_forgotten_classes(
    metrics: Sequence[Metric], measured: Collection[str]
) -> tuple[Metric, ...]:
    """Put the test accuracy of forgotten classes behind that of the others, if it was measured."""
    if FORGET_TEST not in measured:
        return tuple(metrics)
    names = [metric.name for metric in metrics]
    own = replace(OF_FORGOTTEN_CLASSES, better=metrics[names.index("forget")].better)
    behind = names.index("test") + 1
    return (*metrics[:behind], own, *metrics[behind:])


class OfClassifiers(TableKind):
    """What all tables of the scores of classifiers share."""

    scenarios = ("classifier",)
    shows_choice = True
    shows_data = True

    def metrics_of(self, scenario, measured):
        """List what a column measures, with forgotten classes where there are any."""
        return with_forgotten_classes(self.metrics, measured)


class Gap(OfClassifiers):
    """Scores of classifiers, best where they are closest to Retrain's."""

    caption = (
        "How far the unlearned classifiers are from Retrain, the model that was trained without "
        "what was to be forgotten. Every measure is best where it is closest to Retrain's, which "
        "is in the heading. Average gap: mean distance over retain, forget and test accuracy "
        "and the membership attack, in points; lower is better. Bold are the row closest to "
        "Retrain and all that are not told apart from it on the same images; nothing is bold where "
        "Original and Retrain differ too little. Choice is the scale of the subtracted vector, or "
        "the setting of a method that trains. Marks at a value say what its choice leaves open; "
        "the Markdown file beside this one explains them."
    )
    is_scored = True
    needs = (RETRAIN,)
    metrics = (
        *GAP_AND_PARTS,
        RELEARN,
        Metric(
            "gap_of_trials", "mean of the trials' gaps", "points", "lower", gap_of_one,
            printed=False,
        ),
        *FURTHER_ATTACKS,
    )  # fmt: skip

    def notes(self, table, cells):
        """Describe what each column measures, and how coefficients were chosen."""
        return [
            "Every column is best where it is closest to Retrain, which was trained without the "
            "forget set; its value is in the heading. Average gap: mean distance to it over "
            "retain, forget and test accuracy and the attack, in points, of the means shown; the "
            "mean of the trials' own gaps is in the CSV file.",
            *measure_notes(cells),
        ]


def measure_notes(cells) -> list[str]:
    """Describe the measures of classifiers, whether they stand beside Retrain's or not."""
    from negmerge.reporting.notes import choice_notes, error_note

    return [
        "Membership attack: share of forget images that a support vector classifier, trained "
        "on the true class's probability of as many retain as test images, takes for unseen."
        + _other_features(cells),
        *_thinned(cells),
        *_class_notes(cells),
        "data used: the training images that the method itself reads, also where the model was "
        "left alone in the end. Choosing a coefficient also reads retain images.",
        *_relearn_notes(cells),
        error_note(SCENARIO, cells),
        "Retain and forget images are training images, and all that there are: their ± says "
        "how far other draws of as many images might differ, and nothing about images never "
        "trained on.",
        *choice_notes(SCENARIO, cells),
    ]


def _class_notes(cells) -> list[str]:
    if not cells["metric"].eq(FORGET_TEST).any():
        return []
    return [
        "Classes are forgotten: test accuracy is that of the other classes, and the attack learns "
        "from their test images; the test images of forgotten classes have a column of their own."
    ]


def _other_features(cells) -> str:
    """Say where the attack by other features is, if the study measures it."""
    others = cells.loc[cells["metric"].str.startswith("mia_"), "value"]
    if others.isna().all():
        return ""
    return (
        " The other features are in the CSV file; m_entropy_official has the mistake of the SalUn "
        "code, m_entropy does not."
    )


def _thinned(cells) -> list[str]:
    """Name the places where the attack learned from test images, for want of others."""
    single = cells[cells["experiment"] != MEAN]
    sizes = single.pivot_table("images", "experiment", "metric", "max", sort=False)
    return [
        f"{experiment}: there are only {int(one.retain):,} retain images, so the attack learned "
        f"from as many of the {int(one.test):,} test images, drawn by the seed, the same for all "
        "rows."
        for experiment, one in sizes.iterrows()
        if one.retain < one.test
    ]


def _relearn_notes(cells) -> list[str]:
    runs = cells.loc[cells["metric"] == "relearn", "runs"]
    if runs.isna().all():
        return []
    return [
        "relearn time: epochs of plain SGD on the forget set until the model knows it as well as "
        "the original did; the median and, where they differ, the range of "
        f"{int(runs.max())} runs, each with another order of the images; `{TOO_LONG}`: not within "
        "the limit. No row ranks by it: so few runs cannot tell rows apart."
    ]


KIND = Gap()
