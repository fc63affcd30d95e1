"""The records that tables and figures are made of: choices, scores and counts of zeros."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from negmerge.errors import UserError
from negmerge.files import read_json_records

# What each of them is of.
LABELS = ("experiment", "task", "method")

T = TypeVar("T")


def read_records(path: str | Path) -> list[dict]:
    """Read records of methods: one for each rule that chose, or one that holds for all."""
    return read_json_records(path, LABELS)


def read_main_records(paths: Iterable[str | Path]) -> list[dict]:
    """Read the record of the experiment's main rule for each method; it is the first."""
    return [read_records(path)[0] for path in paths]


def place_of(record: Mapping) -> tuple[str, str, str]:
    """Return the experiment, task and method of a record."""
    return tuple(record[label] for label in LABELS)


def of_rule(
    found: Iterable[tuple[tuple[str, str, str], str | None, T]], rule: str | None
) -> dict[tuple[str, str, str], T]:
    """Keep what one rule chose, and what no rule chose and so holds for every rule."""
    kept, rules = {}, set()
    for place, own, one in found:
        if (place, own) in rules:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        rules.add((place, own))
        if own is None or rule is None or own == rule:
            kept.setdefault(place, one)
    return kept
