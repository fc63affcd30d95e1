"""CLIP forgets a data set and should keep its accuracy on another, the control set."""

from collections.abc import Mapping

from negmerge.scenarios.base import ACCURACY_ERROR, Metric, Scenario, accuracy

ACCURACIES = (
    Metric("forget", "forget accuracy", "%", "lower", accuracy("forget")),
    Metric("control", "control accuracy", "%", "higher", accuracy("control")),
)


def describe(experiment: Mapping) -> tuple[str, str]:
    """Name the data sets to forget, and the control set."""
    return ", ".join(experiment["tasks"]), experiment["control"]


SCENARIO = Scenario(
    name="zero-shot",
    roles=("forget", "control"),
    kinds=("base", "single", "greedy", "merge", "unlearn"),
    base="pretrained",
    criteria={
        "control": "among the coefficients that keep at least {keep} of the base's control "
        "accuracy, the one with the lowest forget accuracy, both on validation images; among "
        "equals the smallest"
    },
    metrics=ACCURACIES,
    headline="forget",
    same_items={"forget": ("task",), "control": ()},
    knows=("the base", "guessing"),
    says="has {share:.2f} % of the forget images right",
    error=ACCURACY_ERROR,
    story="CLIP forgets a data set: after good unlearning its accuracy there is low, and as before "
    "on the control data.",
    describe=describe,
)

# How the roles of what earlier requests forget begin; the data set's name follows.
EARLIER = "earlier-"

# Which part of a data set is used for what; choosing and scoring share no image.
PARTS = {"train": "train", "select": "val", "score": "test"}


def part_of(role: str, purpose: str) -> str:
    """Return the part of a role's data set; methods that train read control images that choose."""
    return PARTS["select" if (role, purpose) == ("control", "train") else purpose]
