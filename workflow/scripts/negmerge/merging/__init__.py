"""Merge methods: many task vectors of one base -> one vector."""

from negmerge.merging.engine import merge, merge_files
from negmerge.merging.registry import METHODS, Method

__all__ = ["METHODS", "Method", "merge", "merge_files"]
