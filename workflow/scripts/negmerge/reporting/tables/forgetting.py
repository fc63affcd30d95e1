"""Forget, retain and test accuracy and the attack, where there is no Retrain (classifier)."""

from dataclasses import replace

from negmerge.reporting.tables.gap import FURTHER_ATTACKS, RELEARN, OfClassifiers
from negmerge.scenarios.classifier.scenario import GAP_AND_PARTS

# Of what is forgotten, neither the lowest accuracy nor the most successful attack is best.
BETTER = {"retain": "higher", "test": "higher"}


class Forgetting(OfClassifiers):
    """Scores of classifiers by themselves."""

    caption = (
        "What the unlearned classifiers still know: accuracy on the training images to retain and "
        "to forget and on test images, and the success of a membership attack. Nothing ranks, "
        "since the lowest forget accuracy is not the best: a model that never saw the forget "
        "images has some of them right, too. A table of kind `classes` ranks where whole classes "
        "are forgotten. With `retrain` among the methods, the workflow trains "
        "such a model, and a table of kind `gap` shows the distance to it."
    )
    metrics = tuple(
        replace(metric, better=BETTER.get(metric.name, ""))
        for metric in (*GAP_AND_PARTS[:-1], RELEARN, *FURTHER_ATTACKS)
    )


KIND = Forgetting()
