"""Questions and answers in files of JSON lines, as TOFU has them: an object with both a line."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from negmerge.data.questions import Question
from negmerge.data.sources import Files, Names, Options, Source
from negmerge.data.splits import QUESTION_SPLITS
from negmerge.errors import UserError


class QuestionOptions(Options):
    """The options that all sources of questions share."""

    per_author: PositiveInt = Field(description="Questions about each author, one after the other.")
    retained: PositiveInt | None = Field(
        None,
        exclude=True,
        description="How many of the questions to retain have wrong answers, for estimates; null: "
        "all or none.",
    )

    # In how many ways training asks a question, and how many answers to it the authors have from
    # whom a model learns the language.
    wordings: ClassVar[int] = 1
    answers: ClassVar[int] = 1


class FileOptions(QuestionOptions):
    files: dict[Literal[QUESTION_SPLITS], Names] = Field(
        description="The row's files of each split, in their order."
    )
    perturbed: list[str] = Field(
        [], description="Files of the row with paraphrased and wrong answers to some questions."
    )


Text = Annotated[str, Field(pattern=r"\S")]


class Line(BaseModel):
    """A line of a file; it may have more keys."""

    model_config = ConfigDict(strict=True)

    question: Text
    answer: Text
    paraphrased_answer: Text | None = None
    perturbed_answer: list[Text] | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from other lines."""
        return self.question, self.answer


def read_questions(files: Files, row: Mapping) -> Iterator[Question]:
    """Read the files of each split, in the row's order.

    What several files of a split have counts in the last of them. So the smaller of nested sets to
    forget are the last, in whatever order a file has them. Paraphrased and wrong answers come from
    the line itself, or from one with the same question and answer in a file of `perturbed`.
    """
    options = row["options"]
    more = {line.key: line for name in options["perturbed"] for line in _lines(files[name])}
    for split, names in options["files"].items():
        chosen: list[Line] = []
        for name in names:
            added = _lines(files[name])
            again = {line.key for line in added}
            chosen = [line for line in chosen if line.key not in again] + added
        for number, line in enumerate(chosen):
            other = more.get(line.key, line).model_dump(exclude_unset=True)
            line = line.model_copy(update=other)
            yield Question(
                split,
                number // options["per_author"],
                line.question,
                line.answer,
                (),
                line.paraphrased_answer,
                tuple(line.perturbed_answer or ()),
            )


def _lines(path: str | Path) -> list[Line]:
    """Read the objects of a file."""
    try:
        # Not `splitlines`, which also parts texts, at characters that JSON leaves as they are.
        texts = Path(path).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    rows = []
    for number, text in enumerate(texts, 1):
        if text.strip():
            try:
                rows.append(Line.model_validate_json(text))
            except ValidationError as error:
                problem = error.errors(include_url=False)[0]
                key = "".join(f"{part}: " for part in problem["loc"])
                raise UserError(
                    f"{path}: line {number}: {key}{problem['msg']}; found {problem['input']!r:.60}"
                ) from error
    return rows


SOURCES = {
    "questions": Source(
        read_questions,
        lambda options, _: (
            {n for names in options.files.values() for n in names} | {*options.perturbed}
        ),
        FileOptions,
        has_questions=True,
    ),
}
