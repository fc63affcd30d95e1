"""Distance to Retrain in what classifiers still know (classifier)."""

import math
import statistics
from dataclasses import replace

from negmerge.reporting.kinds import TableKind
from negmerge.reporting.records import MEAN
from negmerge.scenarios.base import Metric, Number, accuracy
from negmerge.scenarios.classifier.scenario import (
    FORGET_TEST,
    GAP_AND_PARTS,
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


RELEARN = Metric(
    "relearn", "relearn time", "epochs", "reference",
    of=lambda record, _: Number(relearned([record])["value"]),
    # Runs of one model are not trials, so there is no `std`.
    over=lambda records, references: (
        {"std": None, "reference": relearned(references or ())["value"]} | relearned(records)
    ),
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


class OfClassifiers(TableKind):
    """What all tables of the scores of classifiers share."""

    scenarios = ("classifier",)
    shows_choice = True
    shows_data = True

    def metrics_of(self, scenario, measured):
        if FORGET_TEST not in measured:
            return self.metrics
        names = [metric.name for metric in self.metrics]
        behind, better = names.index("test") + 1, self.metrics[names.index("forget")].better
        own = replace(OF_FORGOTTEN_CLASSES, better=better)
        return (*self.metrics[:behind], own, *self.metrics[behind:])

    def notes(self, table, cells):
        lines = [
            "Membership attack: the share of forget images that a support vector classifier, "
            "trained on the true class's probability of as many retain as test images, takes for "
            "unseen. The CSV file also holds attacks by other features, if the study asks for "
            "them; m_entropy_official has the mistake of the SalUn code, m_entropy does not."
        ]
        single = cells[cells["experiment"] != MEAN]
        sizes = single.pivot_table("images", "experiment", "metric", "max", sort=False)
        lines += [
            f"{experiment}: there are only {int(images.retain):,} retain images, so the attack "
            f"learned from as many of the {int(images.test):,} test images, drawn by the seed, the "
            "same for all rows."
            for experiment, images in sizes.iterrows()
            if images.retain < images.test
        ]
        if cells["metric"].eq(FORGET_TEST).any():
            lines.append(
                "Classes are forgotten: test accuracy is that of the other classes, and the attack "
                "learns from their test images."
            )
        lines.append(
            "data used: the training images that the method itself reads, also where the model was "
            "left alone in the end. Choosing a coefficient also reads retain images."
        )
        runs = cells.loc[cells["metric"] == RELEARN.name, "runs"]
        if runs.notna().any():
            lines.append(
                "relearn time: epochs of plain SGD on the forget set until the model knows it as "
                "well as the original did; the median and, where they differ, the range of "
                f"{int(runs.max())} runs, each with another order of the images; `{TOO_LONG}`: not "
                "within the limit. No row ranks by it: so few runs cannot tell rows apart."
            )
        lines.append(
            "Retain and forget images are training images, and all that there are: their ± says "
            "how far other draws of as many images might differ, and nothing about images never "
            "trained on."
        )
        return lines


class Gap(OfClassifiers):
    """Scores of classifiers, best where they are closest to Retrain's."""

    caption = (
        "How far the unlearned classifiers are from Retrain: accuracy on the training images to "
        "retain and to forget and on test images, and the success of a membership attack. The "
        "choice is the scale of the subtracted vector, or the setting of a method that trains."
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


KIND = Gap()
