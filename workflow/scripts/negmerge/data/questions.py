"""Questions about authors and their replies: the prepared set, and which author has which role."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from negmerge.data.splits import SCORED_SPLITS
from negmerge.errors import UserError
from negmerge.files import write_text


@dataclass(frozen=True)
class Question:
    """A question about an author, and what is said in reply."""

    split: str  # one of `splits.QUESTION_SPLITS`
    author: int  # the number of the author, from 0 in each split
    question: str  # as it is asked
    answer: str  # the right one
    wordings: tuple[str, ...] = ()  # other ways in which training asks it; measuring does not
    # The right answer in other words; None where there is none.
    paraphrased_answer: str | None = None
    perturbed_answer: tuple[str, ...] = ()  # wrong answers in the form of the right one
    fact: str | None = None  # the part of the answer that is scored; None: all of it, and its end
    form: str = ""  # which prompt of the model's row asks it; "": its `prompt`

    @property
    def texts(self) -> list[str]:
        answers = self.answer, self.paraphrased_answer or "", *self.perturbed_answer
        return [self.question, *self.wordings, *filter(None, answers)]


def write_questions(
    path: str | Path, questions: Iterable[Question], expected: Mapping[str, int]
) -> None:
    """Write a prepared set of questions, at once or not at all."""
    rows = list(questions)
    counts = Counter(row.split for row in rows)
    for split in (*expected, *counts):
        if counts[split] != expected.get(split, 0):
            raise UserError(
                f"{path}: {counts[split]} questions in split {split!r}, expected "
                f"{expected.get(split, 0)}"
            )
    write_text(path, "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows))


def read_questions(path: str | Path) -> list[Question]:
    """Read what `write_questions` wrote."""
    try:
        # Not `splitlines`, which also parts texts, at characters that JSON leaves as they are.
        lines = Path(path).read_text(encoding="utf-8").removesuffix("\n").split("\n")
        rows = [json.loads(line) for line in lines]
        lists = ("wordings", "perturbed_answer")
        return [Question(**row | {key: tuple(row[key]) for key in lists}) for row in rows]
    except (OSError, ValueError, TypeError, LookupError) as error:
        raise UserError(
            f"{path}: not a whole set of questions ({error}); delete it and run again"
        ) from error


# The split of the questions of each role; those to forget and to retain are taught together.
ROLES = {
    "forget": "authors",
    "retain": "authors",
    "all-retain": "authors",
    "retain-sample": "authors",
    "refusals": "authors",
    "original": "authors",
    "before": "others",
    **{split: split for split in SCORED_SPLITS},
}


def forgotten(authors: int, share: float) -> int:
    """Count the authors to forget, the last ones, as in TOFU."""
    return round(share * authors) if share < 1 else int(share)


def parted(questions: Sequence[Question]) -> tuple[Sequence[Question], Sequence[Question]]:
    """Part the questions to retain into those that choose a coefficient and those to score."""
    scored = [question for question in questions if question.perturbed_answer]
    if len(scored) in (0, len(questions)):
        return questions[1::2], questions[::2]
    return [question for question in questions if not question.perturbed_answer], scored
