"""How the models of each scenario are scored and compared."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from negmerge.reporting.answers import EXTRACTION, PROBABILITIES
from negmerge.reporting.metrics import ACCURACIES, GAP_AND_PARTS, Metric
from negmerge.settings.methods import BASES, RETRAIN


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
