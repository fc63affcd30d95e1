"""How many questions of each role there are to train with, to choose by and to score."""

from collections.abc import Iterable

from negmerge.scenarios.language.authors import forgotten
from negmerge.settings.catalogue import Counts
from negmerge.settings.datasets import Dataset

# Answers to a question that are scored: the right one, the same in other words, and five wrong
# ones; fewer in these roles.
ANSWERS = 7
FEWER_ANSWERS = {"holdout": 1, "real-authors": 4, "world-facts": 4}


def question_counts(row: Dataset, share: float, most: int | None, further: Iterable[str]) -> Counts:
    """Count questions by role; those of training are asked in all their wordings."""
    about, taught = row.questions, row.splits["authors"]
    authors = taught // about.per_author
    forget = forgotten(authors, share) * about.per_author
    retain = taught - forget
    judged = about.retained or retain - retain // 2
    most = most or taught
    others = row.splits.get("others", 0) * about.wordings * about.answers
    numbers = {
        "forget": (forget * about.wordings, min(forget, most), forget),
        "retain": (retain * about.wordings, min(retain - judged, most), judged),
        "original": (taught * about.wordings, 0, 0),
        "before": (others, 0, 0),
        **{role: (0, 0, row.splits.get(role, 0)) for role in further},
    }
    purposes = "train", "select", "score"
    return {role: dict(zip(purposes, found, strict=True)) for role, found in numbers.items()}


def scoring_passes(counts: Counts, generation: float) -> float:
    """Count a pass for each answer to a question, and what its own answer takes."""
    return sum(
        one["score"] * (FEWER_ANSWERS.get(role, ANSWERS) + generation)
        for role, one in counts.items()
    )
