"""Unlearning methods: a trained model and its data -> one that has forgotten."""

from negmerge.unlearning.core import METHODS, Data, Method, recipe_for
from negmerge.unlearning.saliency import saliency_mask

__all__ = ["METHODS", "Data", "Method", "recipe_for", "saliency_mask"]
