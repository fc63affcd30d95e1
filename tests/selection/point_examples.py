"""Points as sweeps give them, from accuracies on a hundred images of each role."""

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.points import Point

CRITERIA = ("control", "gap", "retain")


def points(vector, grid, criteria=CRITERIA, mia=None, **right):
    """A point for each coefficient; `right` holds the right answers of 100 by role."""
    return [
        Point(
            vector,
            coefficient,
            {role: Accuracy(round(counts[place]), 100) for role, counts in right.items()},
            {} if mia is None else {"mia": float(mia[place])},
            criteria=criteria,
        )
        for place, coefficient in enumerate(grid)
    ]
