"""Scores, choices and counts of zeros, as records of tables and figures."""

from pathlib import Path

from negmerge.files import read_json

# What each of them is of.
LABELS = ("experiment", "task", "method")


def read_record(path: str | Path) -> dict:
    """Read a record, with at least the experiment, task and method that it is of.

    Raises:
        UserError: the file cannot be read or does not say what it is of.
    """
    return read_json(path, keys=LABELS)
