"""The marks at numbers of a row: what its choice leaves open."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from negmerge.checkpoints.divergence import is_nothing_left


@dataclass(frozen=True)
class Mark:
    """A mark."""

    sign: str  # what is printed
    text: str  # what it means
    # Whether a score or a choice has it; without the key, it does not.
    applies: Callable[[Mapping], bool]


def _is_unsearched(record: Mapping) -> bool:
    """Whether only one setting was tried; the base and Retrain have none to search."""
    return not record.get("searched", True) and record.get("kind") not in ("base", "retrain")


NOTHING_LEFT = "nothing_left"
MARKS = {
    "upper_end": Mark(
        "†",
        "chosen at the upper end of the grid, of all that was tried; a larger one might do better.",
        lambda record: record.get("upper_end", False),
    ),
    "lower_end": Mark(
        "§",
        "chosen next to leaving the model alone, the smallest that was tried, or at the lower end "
        "of an option's grid; a smaller one might do better.",
        lambda record: record.get("lower_end", False),
    ),
    "unchanged": Mark(
        "¶",
        "nothing that was tried did better by the rule than leaving the model alone: the numbers "
        "are those of the unchanged model.",
        lambda record: record.get("unchanged", False),
    ),
    "unsearched": Mark(
        "°", "one setting, and no other was tried; rows with a grid chose among several.",
        _is_unsearched,
    ),
    NOTHING_LEFT: Mark(
        "∅",
        "NA, since the training of all that the row could be made of, or choose among, diverged: "
        "its numbers became NaN or infinite.",
        is_nothing_left,
    ),
}  # fmt: skip


def signs(record: Mapping) -> str:
    """Return the signs of all marks of a score or a choice."""
    return "".join(mark.sign for mark in MARKS.values() if mark.applies(record))
