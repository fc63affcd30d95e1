"""The records that tables and figures are made of, and the footnotes of their numbers."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from negmerge.checkpoints.divergence import is_nothing_left
from negmerge.files import read_json_records
from negmerge.scenarios.base import LABELS

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


@dataclass(frozen=True)
class Footnote:
    """What must be known of a number: a sign beside it, and its meaning."""

    sign: str
    text: str
    applies: Callable[[Mapping], bool]  # whether a score or a choice has it


NOTHING_LEFT, KEEPS_MORE = "nothing_left", "keeps_more"
# By the name of its column in the CSV file.
FOOTNOTES = {
    "upper_end": Footnote(
        "†",
        "it was chosen at the upper end of the grid; a larger value might do better.",
        lambda record: record.get("upper_end", False),
    ),
    "lower_end": Footnote(
        "§",
        "it was chosen at the lower end of the grid, next to leaving the model alone; a smaller "
        "value might do better.",
        lambda record: record.get("lower_end", False),
    ),
    "unchanged": Footnote(
        "¶",
        "by the criterion nothing that was tried did better than leaving the model alone, so the "
        "numbers are those of the unchanged model.",
        lambda record: record.get("unchanged", False),
    ),
    KEEPS_MORE: Footnote(
        "↑",
        "of what is to be kept it has more than the unchanged model, by more than the standard "
        "error of their difference; it may have learned what it is scored on.",
        lambda record: record.get(KEEPS_MORE, False),
    ),
    "unsearched": Footnote(
        "°",
        "only one setting was tried; rows with a grid chose among several.",
        # The base and Retrain have nothing to search.
        lambda record: (
            not record.get("searched", True) and record.get("kind") not in ("base", "retrain")
        ),
    ),
    NOTHING_LEFT: Footnote(
        "∅",
        "there is no model, since every training that it could come from diverged: its numbers "
        "became NaN or infinite.",
        is_nothing_left,
    ),
}


def signs(record: Mapping) -> str:
    return "".join(note.sign for note in FOOTNOTES.values() if note.applies(record))
