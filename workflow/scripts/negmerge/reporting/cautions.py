"""What is not to be concluded from a study, as far as its records show it."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from negmerge.reporting.leading import Column, labels
from negmerge.reporting.verdicts import number_of_trials

# What a mark at a row leaves open, see `marks.MARKS`: in a sentence, and in few words.
LIMITS = {
    "upper_end": ("can do no better (chosen at the upper end of the grid", "end of grid"),
    "lower_end": ("can do no better (chosen at the lower end of the grid", "end of grid"),
    "unsearched": ("can do no better (one setting, no other tried", "not searched"),
    "unchanged": ("can forget (nothing tried was better than the unchanged model", "unchanged"),
}


class Said(NamedTuple):
    """Something said twice: in a sentence for a page, and in few words for a terminal."""

    text: str
    short: str


def cautions(leading: Sequence[Column], shown: Sequence[Column]) -> Iterator[Said]:
    """Yield what the records do not show, the most general first."""
    for holds, text, short in (
        (
            lambda one: one.is_little,
            "anything of the order of the rows (too little to forget{})",
            "any order (too little to forget{})",
        ),
        (
            lambda one: number_of_trials(one.cells) == 1,
            "that another training gives the same order (one seed{})",
            "the order (one seed{})",
        ),
        (
            lambda one: one.is_close,
            "that the best beats the next (its lead is below its standard error{})",
            "the lead (below its error{})",
        ),
    ):
        yield from _where(leading, holds, text, short)
    yield from _limits(leading)
    yield from _where(
        leading,
        lambda one: one.cells["rule"].eq("gap").any(),
        "that a user without Retrain reaches this (rule gap compares with it{})",
        "use without Retrain (rule gap{})",
    )
    yield from _where(
        leading,
        lambda one: not _is_like_paper(one, shown),
        "anything of the paper's numbers (another model or other data{})",
        "the paper's numbers (other data{})",
    )


def _where(
    leading: Sequence[Column], holds: Callable[[Column], bool], text: str, short: str
) -> Iterator[Said]:
    """Name the columns for which something holds; nothing need be named if it is all."""
    found = [one.name for one in leading if holds(one)]
    is_all = len(found) == len(leading)
    names = "" if is_all else f": {', '.join(found)}"
    count = "" if is_all else f": {len(found)} of {len(leading)}"
    if found:
        yield Said(text.format(names), short.format(count))


def _limits(leading: Sequence[Column]) -> Iterator[Said]:
    """Name the rows whose choice leaves something open, and the columns where it does."""
    for mark, (text, short) in LIMITS.items():
        found: dict[str, list[str]] = {}
        for column in leading:
            marked = [row for row in column.rows if row[mark] is True]
            if marked:
                found.setdefault(labels(marked), []).append(column.name)
        for rows, names in found.items():
            yield Said(f"that {rows} {text}: {', '.join(names)})", f"{rows} ({short})")


def _is_like_paper(column: Column, shown: Sequence[Column]) -> bool:
    """Whether the paper's cells, where any stand beside these places, may be compared with them."""
    beside = [one.cells["comparable"].dropna() for one in shown if one.places & column.places]
    known = [flag for flags in beside for flag in flags]
    return not known or True in known
