"""The records of methods that tables and figures are made of."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

from negmerge.errors import UserError
from negmerge.files import read_json_records
from negmerge.scenarios.base import LABELS

T = TypeVar("T")

# How much there is to forget: a number of a table's column, not of a row.
TO_FORGET = "to_forget"
# The columns `experiment` and `task` of a number that is a mean over them.
MEAN = "mean"


def read_records(path: str | Path) -> list[dict]:
    """Read records of methods: one for each criterion that chose, or one that holds for all."""
    return read_json_records(path, LABELS)


def read_main_records(paths: Iterable[str | Path]) -> list[dict]:
    """Read the record of the experiment's main criterion for each method; it is the first."""
    return [read_records(path)[0] for path in paths]


def of_criterion(
    entries: Iterable[tuple[tuple[str, str, str], str | None, T]], criterion: str | None
) -> dict[tuple[str, str, str], T]:
    """Keep what one criterion chose, and what none chose and so holds for every criterion."""
    kept, known = {}, set()
    for place, own, entry in entries:
        if (place, own) in known:
            raise UserError(f"two records of {'/'.join(place)}, expected one")
        known.add((place, own))
        if own is None or criterion is None or own == criterion:
            kept.setdefault(place, entry)
    return kept
