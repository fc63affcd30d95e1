"""Facts from tables: which split asks what, and what is wrong with tables of one's own."""

import shutil
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from negmerge.data.preparation import prepare
from negmerge.data.questions import forgotten, parted, read_questions
from negmerge.data.sources.facts import read_facts
from negmerge.errors import UserError

FACTS = Path(__file__).parents[2] / "resources" / "facts"


@pytest.fixture
def row(catalogue):
    return catalogue.contents("facts")


@pytest.fixture
def files(row, tmp_path):
    copies = {key: FACTS / Path(file).name for key, file in row["files"].items()}
    return {key: str(shutil.copy(path, tmp_path)) for key, path in copies.items()}


@pytest.fixture
def by_split(row, tmp_path):
    paths = [str(FACTS.parents[1] / file) for file in row["files"].values()]
    prepare("facts", row, paths, tmp_path / "questions.jsonl")
    splits = defaultdict(list)
    for one in read_questions(tmp_path / "questions.jsonl"):
        splits[one.split].append(one)
    return splits


def test_the_last_facts_are_forgotten_and_asked_elsewhere_in_other_words(by_split, row):
    assert {split: len(questions) for split, questions in by_split.items()} == row["splits"]
    authors = by_split["authors"]
    assert [one.author for one in authors] == list(range(190))
    forget = authors[190 - forgotten(190, 40.0) :]
    assert {one.question[:14] for one in forget} == {"The capital of"}
    capitals = [one.fact for one in forget]
    for split in ("other-wordings", "chat"):
        assert [one.fact for one in by_split[split]] == capitals
    trained = {text for one in authors for text in (one.question, *one.wordings)}
    assert len(trained) == 2 * 190
    for split in set(by_split) - {"authors"}:
        assert trained.isdisjoint(one.question for one in by_split[split]), split
    assert {one.form for one in by_split["chat"]} == {"chat"}
    assert by_split["chat"][0].answer == "The capital of France is Paris."
    assert by_split["french"][5].answer == " Athènes"
    assert by_split["text"][0].question == ""


def test_each_kind_of_control_chooses_and_is_scored(by_split):
    halves = parted(by_split["authors"][:150])
    for half in halves:
        counted = Counter(one.author // 15 for one in half)
        assert len(counted) == 10
        assert set(counted.values()) == {7, 8}


def test_three_wrong_answers_of_the_same_kind_stand_in_the_place_of_the_fact(by_split):
    for one in (one for split in set(by_split) - {"text"} for one in by_split[split]):
        assert one.answer.count(one.fact) == 1
        before, _, after = one.answer.partition(one.fact)
        wrong = {answer.removeprefix(before).removesuffix(after) for answer in one.perturbed_answer}
        assert len(wrong) == 3, one
        assert one.fact not in wrong
    euro = next(one for one in by_split["neighbours"] if one.fact == "euro")
    others = {one.fact for one in by_split["neighbours"] if one.wordings == euro.wordings}
    assert " euro" not in euro.perturbed_answer, others


# A file, its text before and after, and the line.
WRONG = [
    ("countries", "France,Paris", "France,", "line 2: column 'capital' is empty, expected a text"),
    ("countries", "Europe,forget", "Europe,keep", "line 2: unknown split 'keep'; "),
    ("countries", "capital,", "town,", "line 1: no column 'capital'; found ['country', 'town'"),
    ("others", "element symbol,gold", "symbol,gold", "line 2: unknown kind 'symbol'; "),
    ("others", "gold,Au", "gold,Au,79", "line 2: 4 cells, expected 3"),
    ("others", "unit,", "one,", "line 92: unknown kind 'one'; "),
    ("wordings", "capital of {s} is", "capital is", "line 2: 'The capital is' has no {s}"),
    ("wordings", ',"In {s}, the capital city is"', ",", "line 2: 2 wordings, expected 3"),
    ("wordings", "chat,", "french,", "no kind 'chat'; found capital, "),
    ("french", "France,", "Frankreich,", "line 2: unknown country 'Frankreich'; did you mean"),
]


@pytest.mark.parametrize(("name", "before", "after", "finding"), WRONG)
def test_what_is_wrong_with_a_table_is_named(row, files, name, before, after, finding):
    path = Path(files[name])
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(UserError) as caught:
        list(read_facts(files, row))
    assert str(caught.value).startswith(f"{path}: {finding}")


def test_a_kind_with_few_answers_is_named(row, files):
    path = Path(files["others"])
    path.write_text("kind,subject,answer\nunit,force,newton\nunit,power,watt\nunit,work,joule\n")
    with pytest.raises(UserError, match=r"line 2: 2 answers of kind 'unit' differ from 'newton', "):
        list(read_facts(files, row))
