"""What the cells of a table measure, by the kind of the table."""

from collections.abc import Collection
from dataclasses import dataclass

# The method whose numbers are the reference of tables of kind `gap`.
RETRAIN = "retrain"
# The method that leaves the model as it is, by what is scored, see `scored`.
BASES = {"accuracy": "pretrained", "gap": "original"}
# The measure that a report's first lines speak of.
LEADING = {"accuracy": "forget", "gap": "gap"}
# How much there is to forget: a number of a table's column, not of a row.
TO_FORGET = "to_forget"
# What stands in the columns `experiment` and `task` of a number that is a mean over them.
MEAN = "mean"
# What the average gap is the mean of, as in the paper.
GAP_OF = ("retain", "forget", "test", "mia")


@dataclass(frozen=True)
class Metric:
    """What a cell measures.

    Attributes:
        name: as in the files of published cells.
        label: for people.
        unit: `%`, `points` or another; nothing for a count.
        better: `lower`, `higher`, `reference` (close to that of Retrain), or nothing.
        printed: whether people see it; otherwise it stands in the CSV file only.
    """

    name: str
    label: str
    unit: str
    better: str
    printed: bool = True


ACCURACIES = (
    Metric("forget", "forget accuracy", "%", "lower"),
    Metric("control", "control accuracy", "%", "higher"),
)
METRICS = {
    "accuracy": ACCURACIES,
    "sweep": ACCURACIES,
    "gap": (
        Metric("retain", "retain accuracy", "%", "reference"),
        Metric("forget", "forget accuracy", "%", "reference"),
        Metric("test", "test accuracy", "%", "reference"),
        Metric("mia", "membership attack", "%", "reference"),
        Metric("gap", "average gap", "points", "lower"),
        Metric("relearn", "relearn time", "epochs", "reference"),
        Metric("gap_of_trials", "mean of the trials' gaps", "points", "lower", printed=False),
        *(
            Metric(f"mia_{feature}", f"membership attack by {feature}", "%", "reference", False)
            for feature in ("correctness", "entropy", "m_entropy_official", "m_entropy", "prob")
        ),
    ),
    "cost": (
        Metric("seconds", "time", "s", "lower"),
        Metric("memory", "peak memory", "MB", "lower"),
    ),
    # Beside the scores of the scenario; see `mask.metrics_of`.
    "mask": (
        Metric("kept_trainable", "numbers kept, of the trainable", "%", ""),
        Metric("shrinking", "of them shrink the base", "%", ""),
        Metric("agreement", "one sign in all vectors", "%", "", printed=False),
        Metric("voting", "numbers that are zero in no vector", "", "", printed=False),
    ),
    "sparsity": (
        Metric("zeros_trainable", "zeros among the trainable weights", "%", ""),
        Metric("zeros_state", "zeros in the whole image encoder", "%", ""),
        Metric("kept", "numbers kept", "", ""),
    ),
}


def scored(names: Collection[str]) -> str | None:
    """Say what scores a column holds, by the names of its metrics.

    Returns:
        `gap` of classifiers, `accuracy` in the scenario zero-shot; None if it holds none.
    """
    return "gap" if "gap" in names else "accuracy" if "control" in names else None
