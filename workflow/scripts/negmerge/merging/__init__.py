"""Merge methods: many task vectors of one base -> one vector."""

import importlib

from negmerge.merging.engine import METHODS, Method, merge

__all__ = ["METHODS", "Method", "merge", "merge_files"]


def __getattr__(name: str):
    # It reads checkpoints and adapters of others, on which no merge of a study depends.
    if name == "merge_files":
        return importlib.import_module("negmerge.standalone.pools").merge_files
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
