"""All checks of a study, and what they must have found to do."""

from collections.abc import Iterable
from pathlib import Path

from recomputation import choices, comparisons, merges, scores, tables, weights
from recomputation.result import Report
from recomputation.study import Study

CHECKS = (weights, merges, choices, scores, tables, comparisons)
# Kinds of which a study may have nothing that can be compared.
OPTIONAL = (
    merges.OTHERS,
    choices.SEARCHED,
    tables.COSTS,
    comparisons.BOOTSTRAP,
    weights.COUNTS,
)
# What is computed of the images and choices, and so is there whatever checkpoints are kept.
NUMBERS = (
    "choices by rule control",
    "choices by rule gap",
    "choices by rule retain",
    scores.CHOICES,
    scores.COUNTS,
    scores.ATTACK,
    "accuracies in tables",
    "average gaps in tables",
    comparisons.AMOUNT,
    comparisons.MCNEMAR,
)
# What is computed of checkpoints.
WEIGHTS = (
    weights.VECTORS,
    *(f"merges by {name}" for name in (*merges.FORMULAS, "greedy", "random-mask")),
    weights.COUNTS,
)


def recompute(folder: Path, required: Iterable[str] = ()) -> Report:
    """Recompute all numbers of `results/{study}`, which must have those of the required kinds."""
    study = Study(folder)
    results = (result for check in CHECKS for result in check.check(study))
    return Report(results, required, OPTIONAL)
