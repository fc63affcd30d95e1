"""Forget accuracy of whole classes, which is to be low, and what is kept (classifier)."""

from dataclasses import replace

from negmerge.reporting.tables.gap import RELEARN, OfClassifiers
from negmerge.scenarios.classifier.scenario import GAP_AND_PARTS, SCENARIO

# The lowest forget accuracy is best. How well the attack should do, nobody knows without Retrain.
BETTER = {"retain": "higher", "forget": "lower", "test": "higher"}
METRICS = tuple(
    replace(metric, better=BETTER.get(metric.name, "")) for metric in (*GAP_AND_PARTS[:-1], RELEARN)
)
CLASSES = replace(
    SCENARIO,
    # No model has to be there that was trained without the classes.
    kinds=tuple(kind for kind in SCENARIO.kinds if kind != "retrain"),
    metrics=METRICS,
    compared=tuple(BETTER),
    headline="forget",
    knows=("Original", "guessing"),
    story="A classifier forgets whole classes: after good unlearning it has none of their images "
    "right, and as many of the others as before.",
    aims_at_retrain=False,
)


class Classes(OfClassifiers):
    """Scores of classifiers that forget whole classes."""

    caption = (
        "What the unlearned classifiers still know of the forgotten classes, and of the others: "
        "accuracy on training images to forget and to retain and on test images, and the success "
        "of a membership attack. The lowest forget accuracy is best among models that keep the "
        "retain accuracy: one that never saw a class never names it."
    )
    is_scored = True
    metrics = METRICS

    def scenario(self, column):
        return CLASSES

    def check(self, experiments, methods):
        for name, experiment in experiments.items():
            if not experiment.forget.classes:
                rule = experiment.forget.rule
                raise ValueError(
                    f"experiments.{name}: forget.rule: {rule}; tables of kind `classes` show "
                    "experiments that forget whole classes, others the kind `forgetting`"
                )


KIND = Classes()
