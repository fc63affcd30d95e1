"""Choosing by validation items: a coefficient, a vector, a trained model."""

from negmerge.selection.choice import select_coefficient
from negmerge.selection.greedy import greedy

__all__ = ["greedy", "select_coefficient"]
