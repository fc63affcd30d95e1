"""The average gap: how far a model's scores are from those of the retrained one."""

import math
from collections.abc import Mapping

from negmerge.errors import UserError


def average_gap(scores: Mapping[str, float], reference: Mapping[str, float]) -> float:
    """Average the absolute differences to a reference over all metrics.

    SalUn's Avg. Gap (Fan et al. 2024), which NegMerge's Table 2 prints: over the accuracies on
    retain, forget and test images and the membership attack, against Retrain. It is taken on the
    mean values of a table. Lower is better, 0 is best.

    Args:
        scores: percent by metric.
        reference: percent by metric, usually those of Retrain; the same metrics.

    Returns:
        Percentage points.

    Raises:
        UserError: the metrics differ, there is none, or a value is NaN or infinite.
    """
    for here, there, place in (
        (reference, scores, "the scores"),
        (scores, reference, "the reference"),
    ):
        missing = sorted(set(here) - set(there))
        if missing:
            raise UserError(f"average gap: {', '.join(missing)} missing from {place}")
    if not scores:
        raise UserError("average gap: no metric, expected at least 1")
    for place, values in (("the scores", scores), ("the reference", reference)):
        for name, value in values.items():
            if not math.isfinite(value):
                raise UserError(f"average gap: {name} is {value} in {place}, expected a percentage")
    return math.fsum(abs(scores[name] - reference[name]) for name in scores) / len(scores)
