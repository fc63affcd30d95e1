"""Forget, retain and test accuracy and the attack, where there is no Retrain (classifier)."""

from dataclasses import replace

from negmerge.reporting.tables.gap import (
    FURTHER_ATTACKS,
    RELEARN,
    OfClassifiers,
    measure_notes,
)
from negmerge.scenarios.classifier.scenario import GAP_AND_PARTS

# Of what is forgotten, neither the lowest accuracy nor the most successful attack is best.
BETTER = {"retain": "higher", "test": "higher"}


class Forgetting(OfClassifiers):
    """Scores of classifiers by themselves."""

    caption = (
        "What the unlearned classifiers still know, in percent: accuracy on the training images to "
        "retain and to forget and on test images, and the success of the membership attack. There "
        "is no average gap and nothing is bold, since only Retrain, a model that was trained "
        "without what was to be forgotten, says how much forgetting is right. Choice is the scale "
        "of the subtracted vector, or the setting of a method that trains. Marks at a value say "
        "what its choice leaves open; the Markdown file beside this one explains them."
    )
    metrics = tuple(
        replace(metric, better=BETTER.get(metric.name, ""))
        for metric in (*GAP_AND_PARTS[:-1], RELEARN, *FURTHER_ATTACKS)
    )

    def notes(self, table, cells):
        """Describe what is missing without Retrain, and what each column measures."""
        return [
            "An average gap needs Retrain, trained without the forget set: with `retrain` among "
            "the methods and a table of kind `gap`, the workflow trains it. Without it no row "
            "ranks: a model that never saw the forget images has some of them right, too, so the "
            "lowest forget accuracy is not the best.",
            *measure_notes(cells),
        ]


KIND = Forgetting()
