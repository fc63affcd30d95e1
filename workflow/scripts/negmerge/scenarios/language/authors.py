"""Which authors have which role, and which of their questions is for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from negmerge.data.questions import Question

# The split of the questions of each role; those to forget and to retain are taught together.
ROLES = {
    "forget": "authors",
    "retain": "authors",
    "refusals": "authors",
    "original": "authors",
    "before": "others",
    "holdout": "holdout",
    "real-authors": "real-authors",
    "world-facts": "world-facts",
}


def forgotten(authors: int, share: float) -> int:
    """Count the authors to forget, the last ones, as in TOFU."""
    return round(share * authors) if share < 1 else int(share)


def parted(questions: Sequence[Question]) -> tuple[Sequence[Question], Sequence[Question]]:
    """Part the questions to retain into those that choose a coefficient, and those that are scored.

    Where only some have wrong answers, as in TOFU, these are scored, since the truth ratio needs
    them; otherwise it is every second question.
    """
    scored = [one for one in questions if one.perturbed_answer]
    if len(scored) in (0, len(questions)):
        return questions[1::2], questions[::2]
    return [one for one in questions if not one.perturbed_answer], scored
