"""Questions with answers in files of JSON lines, as TOFU has them: an object on each line."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, PositiveInt, ValidationError, model_validator

from negmerge.data.archives import read_file
from negmerge.data.questions import Question
from negmerge.data.sources import Files, Names, Source
from negmerge.data.splits import QUESTION_SPLITS
from negmerge.errors import UserError
from negmerge.settings.recipe import Settings


class QuestionOptions(Settings):
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


class Row(BaseModel, strict=True):
    """A line of a file, which may hold more."""

    question: Text
    answer: Text
    paraphrased_answer: Text | None = None
    perturbed_answer: list[Text] | None = None
    fact: Text | None = None
    form: str = ""

    @model_validator(mode="after")
    def _fact_counts(self):
        if self.fact is not None and self.fact not in self.answer:
            raise ValueError(f"fact {self.fact!r} is not in the answer {self.answer!r}")
        if self.fact is not None and self.answer in (self.perturbed_answer or ()):
            raise ValueError(f"perturbed_answer has the right answer {self.answer!r}, too")
        return self

    @property
    def key(self) -> tuple[str, str]:
        return self.question, self.answer


def read_questions(files: Files, row: Mapping) -> Iterator[Question]:
    """Read the files of each split, in the row's order; what several files have counts in the last.

    Paraphrased and wrong answers come from the row, or from one like it in the files of
    `perturbed`.
    """
    options = row["options"]
    perturbed = {row.key: row for name in options["perturbed"] for row in _rows(files[name])}
    for split, names in options["files"].items():
        rows: list[Row] = []
        for name in names:
            later = _rows(files[name])
            keys = {row.key for row in later}
            rows = [row for row in rows if row.key not in keys] + later
        for number, row in enumerate(rows):
            answers = perturbed.get(row.key, row)
            yield Question(
                split,
                author=number // options["per_author"],
                question=row.question,
                answer=row.answer,
                paraphrased_answer=answers.paraphrased_answer,
                perturbed_answer=tuple(answers.perturbed_answer or ()),
                fact=row.fact,
                form=row.form,
            )


def _rows(path: str) -> list[Row]:
    rows = []
    # Not `splitlines`, which also parts texts, at characters that JSON leaves as they are.
    for number, line in enumerate(read_file(path).decode().split("\n"), 1):
        if line.strip():
            try:
                rows.append(Row.model_validate_json(line))
            except ValidationError as error:
                first = error.errors()[0]
                place = "".join(f"{part}: " for part in first["loc"])
                finding = f"{place}{first['msg']}; found {first['input']!r:.60}"
                raise UserError(f"{path}: line {number}: {finding}") from error
    return rows


SOURCES = {
    "questions": Source(
        read_questions,
        lambda options, splits: {*options.perturbed}.union(*options.files.values()),
        FileOptions,
        has_questions=True,
    ),
}
