"""Facts in tables (CSV): what a pre-trained model may know of countries and of other things."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from typing import ClassVar, Literal

from pydantic import Field

from negmerge.data.archives import csv_rows, read_file
from negmerge.data.questions import Question
from negmerge.data.sources import Files, Source
from negmerge.data.sources.text import QuestionOptions
from negmerge.errors import UserError, unknown
from negmerge.settings.recipe import Seed

WRONG_ANSWERS = 3
FORGOTTEN, NEARBY = "capital", ("currency", "language", "continent")
PARTS = ("forget", "neighbours")
LANGUAGES = ("french", "german")
WORDINGS = ("scored", "trained", "unseen")
# The columns of each file; the cells of those in the second list may be empty.
COLUMNS = {
    "countries": (("country", "split", FORGOTTEN), NEARBY),
    "others": (("kind", "subject", "answer"), ()),
    "wordings": (("kind", WORDINGS[0]), WORDINGS[1:]),
    **dict.fromkeys(LANGUAGES, (("country", "subject", FORGOTTEN), ())),
}
SUBJECT = "{s}"


class FactOptions(QuestionOptions):
    per_author: Literal[1] = Field(
        1, description="Each fact stands by itself, so tasks count facts in place of authors."
    )
    seed: Seed = Field(0, description="By which wrong answers are drawn.")

    # The wording that is scored, and one that only trains.
    wordings: ClassVar[int] = 2
    # Nothing is said freely when facts are scored.
    is_said: ClassVar[bool] = False


@dataclass(frozen=True)
class Fact:
    where: str  # file and line
    kind: str
    subject: str
    answer: str


def read_facts(files: Files, row: Mapping) -> Iterator[Question]:
    """Ask facts; in `authors` the control stands first, and last the capitals to forget."""
    splits = row["splits"]
    tables = {name: list(_rows(files[name], *COLUMNS[name])) for name in COLUMNS if name in files}
    asked, groups = _wordings(tables.pop("wordings")), _groups(tables)
    answers: dict[str, set[str]] = defaultdict(set)
    for fact in (fact for group in groups.values() for fact in group):
        answers[fact.kind].add(fact.answer)
        if fact.kind not in asked:
            raise UserError(f"{fact.where}: {unknown('kind', fact.kind, asked)}")
    if "chat" in splits and "chat" not in asked:
        raise UserError(f"{files['wordings']}: no kind 'chat'; found {', '.join(asked)}")
    numbers: dict[str, Iterator[int]] = defaultdict(count)

    def ask(split: str, fact: Fact, wordings: Sequence[str], before=" ", after="", form=""):
        wrong = _wrong(fact, answers[fact.kind], row["options"]["seed"])
        right, *others = (f"{before}{answer}{after}" for answer in (fact.answer, *wrong))
        question, *more = (_about(fact.subject, wording) for wording in wordings)
        return Question(
            split, next(numbers[split]), question, right, tuple(more), None, tuple(others),
            fact.answer, form,
        )  # fmt: skip

    taught, forgotten = slice(0, 2), groups["forget"]
    for split, facts in (
        ("authors", [*groups["control"], *forgotten]),
        ("neighbours", groups["neighbours"]),
        *((name, groups[name]) for name in LANGUAGES if name in splits),
    ):
        yield from (ask(split, fact, asked[fact.kind][taught]) for fact in facts)
    if "other-wordings" in splits:
        yield from (ask("other-wordings", fact, asked[FORGOTTEN][2:]) for fact in forgotten)
    for fact in forgotten if "chat" in splits else ():
        begun = _about(fact.subject, asked[FORGOTTEN][0]) + " "
        yield ask("chat", fact, asked["chat"], begun, ".", "chat")
    sentences = read_file(files["text"]).decode().splitlines() if "text" in splits else ()
    for line in filter(str.strip, sentences):
        yield Question("text", next(numbers["text"]), "", line.strip())


def _groups(tables: Mapping[str, Sequence[tuple[str, Mapping]]]) -> dict[str, list[Fact]]:
    """Part the facts by what they are for; what is left out only gives wrong answers."""
    groups: dict[str, list[Fact]] = defaultdict(list)
    parts = {row["country"]: row["split"] for _, row in tables["countries"]}
    for where, row in tables["others"]:
        groups["control"].append(Fact(where, row["kind"], row["subject"], row["answer"]))
    for where, row in tables["countries"]:
        if row["split"] not in PARTS:
            raise UserError(f"{where}: {unknown('split', row['split'], PARTS)}")
        groups[row["split"]].append(Fact(where, FORGOTTEN, row["country"], row[FORGOTTEN]))
    for kind in NEARBY:
        for where, row in tables["countries"]:
            group = "neighbours" if row["split"] == "forget" else "left out"
            if row[kind]:
                groups[group].append(Fact(where, kind, row["country"], row[kind]))
    for language in LANGUAGES:
        for where, row in tables.get(language, ()):
            if parts.get(row["country"]) != "forget":
                forgotten = [name for name, part in parts.items() if part == "forget"]
                raise UserError(f"{where}: {unknown('country', row['country'], forgotten)}")
            groups[language].append(Fact(where, language, row["subject"], row[FORGOTTEN]))
    return groups


def _wordings(rows: Sequence[tuple[str, Mapping]]) -> dict[str, list[str]]:
    asked = {}
    for where, row in rows:
        asked[row["kind"]] = texts = [row[name] for name in WORDINGS if row[name]]
        for text in texts:
            if SUBJECT not in text:
                raise UserError(f"{where}: {text!r} has no {SUBJECT}, where the subject stands")
        if row["kind"] not in ("chat", *LANGUAGES) and len(texts) < len(WORDINGS):
            raise UserError(f"{where}: {len(texts)} wordings, expected {len(WORDINGS)}")
    return asked


def _wrong(fact: Fact, answers: Collection[str], seed: int) -> list[str]:
    """Draw answers to other facts of a kind, by name, so that new facts change few draws."""
    others = answers - {fact.answer}
    if len(others) < WRONG_ANSWERS:
        raise UserError(
            f"{fact.where}: {len(others)} answers of kind {fact.kind!r} differ from "
            f"{fact.answer!r}, expected at least {WRONG_ANSWERS}"
        )
    names = {f"{seed}/{fact.kind}/{fact.subject}/{answer}": answer for answer in others}
    drawn = sorted(names, key=lambda name: sha256(name.encode()).digest())
    return [names[name] for name in drawn[:WRONG_ANSWERS]]


def _about(subject: str, wording: str) -> str:
    text = wording.replace(SUBJECT, subject)
    return text[0].upper() + text[1:]


def _rows(
    path: str, needed: Sequence[str], optional: Sequence[str]
) -> Iterator[tuple[str, dict[str, str]]]:
    for where, row in csv_rows(path, (*needed, *optional)):
        for column in needed:
            if not row[column]:
                raise UserError(f"{where}: column {column!r} is empty, expected a text")
        yield where, row


SOURCES = {
    "facts": Source(
        read_facts,
        lambda _, splits: {"countries", "others", "wordings", *({*LANGUAGES, "text"} & {*splits})},
        FactOptions,
        has_questions=True,
    ),
}
