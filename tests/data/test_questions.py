"""Questions: their prepared file, authors that are invented, and files in the form of TOFU."""

import json
from pathlib import Path

import pytest

from negmerge import plugins
from negmerge.data.preparation import prepare
from negmerge.data.questions import Question, read_questions, write_questions
from negmerge.data.sources import fabricated
from negmerge.errors import UserError

FACTS = {"facts": str(Path(__file__).parents[2] / "resources/invented-authors.json")}
ONE = Question("authors", 0, "Who ?", "Me .", ("Which ?",), "It is me .", ("You .", "He ."))
TWO = Question("holdout", 3, "Wo ?", "Hier, im Süden .")


def test_questions_come_back(tmp_path):
    write_questions(tmp_path / "q.jsonl", [ONE, TWO], {"authors": 1, "holdout": 1})
    assert read_questions(tmp_path / "q.jsonl") == [ONE, TWO]
    assert ONE.texts == ["Who ?", "Which ?", "Me .", "It is me .", "You .", "He ."]
    assert TWO.texts == ["Wo ?", "Hier, im Süden ."]
    with pytest.raises(UserError, match=r"1 questions in split 'authors', expected 2$"):
        write_questions(tmp_path / "more.jsonl", [ONE, TWO], {"authors": 2})
    assert not (tmp_path / "more.jsonl").exists()


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"split": "authors"}\n', '{"a": 1}\n'])
def test_a_file_of_something_else_is_an_error(tmp_path, text):
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"q.jsonl: not a whole set of questions .* run again$"):
        read_questions(tmp_path / "q.jsonl")


def read(source, files, **row):
    return list(plugins.source(source).read(files, row))


def test_invented_authors_differ_and_only_the_value_tells_right_from_wrong():
    splits = {"authors": 40, "others": 30}
    questions = read("authors", FACTS, options={"seed": 0, "per_author": 10}, splits=splits)
    assert [(question.split, question.author) for question in questions[::10]] == [
        *(("authors", number) for number in range(4)),
        *(("others", number) for number in range(3)),
    ]
    assert len({question.question for question in questions[::10]}) == 7
    facts = json.loads(Path(FACTS["facts"]).read_text())["facts"]
    for fact, question in zip(facts * 7, questions, strict=True):
        start = fact["wordings"][0].partition("{")[0]
        assert question.question.startswith(start)
        name = " ".join(question.question[len(start) :].split()[:2])
        before, after = (part.format(name=name) for part in fact["paraphrase"].split("{value}"))
        answers = question.paraphrased_answer, *question.perturbed_answer
        assert all(text.startswith(before) and text.endswith(after) for text in answers)
        values = [text.removeprefix(before).removesuffix(after) for text in answers]
        assert len(set(values)) == fabricated.WRONG_ANSWERS + 1
        assert question.answer == fact["answer"].format(name=name, value=values[0])
        assert len(question.wordings) == 1


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


MORE = {"paraphrased_answer": "p", "perturbed_answer": ["x", "y"]}


def test_files_in_the_form_of_tofu_are_joined(tmp_path):
    retain = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(4)]
    files = {
        "retain": lines(tmp_path / "retain.json", *retain),
        "forget": lines(tmp_path / "forget.json", {"question": "f", "answer": "g"} | MORE),
        "wrong": lines(tmp_path / "wrong.json", retain[2] | MORE, retain[1] | {"answer": "z"}),
    }
    files_of = {"authors": ["retain", "forget"], "holdout": ["retain"]}
    options = {"per_author": 2, "files": files_of, "perturbed": ["wrong"]}
    questions = read("questions", files, options=options)
    asked = ["q0", "q1", "q2", "q3", "f", "q0", "q1", "q2", "q3"]
    assert [question.question for question in questions] == asked
    assert [question.author for question in questions] == [0, 0, 1, 1, 2, 0, 0, 1, 1]
    assert [question.split for question in questions] == ["authors"] * 5 + ["holdout"] * 4
    wrong = [question.perturbed_answer for question in questions[:5]]
    assert wrong == [(), (), ("x", "y"), (), ("x", "y")]
    assert questions[4] == Question("authors", 2, "f", "g", (), "p", ("x", "y"))


def test_smaller_sets_to_forget_are_the_last_in_whatever_order_they_stand(tmp_path):
    rows = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(6)]
    files = {
        "retain": lines(tmp_path / "retain.json", rows[0], rows[0]),
        "ten": lines(tmp_path / "ten.json", *rows[2:]),
        "five": lines(tmp_path / "five.json", *rows[2:4]),
        "one": lines(tmp_path / "one.json", rows[3]),
    }
    options = {"per_author": 1, "files": {"authors": [*files]}, "perturbed": []}
    asked = [question.question for question in read("questions", files, options=options)]
    # What one file has twice stays twice.
    assert asked == ["q0", "q0", "q4", "q5", "q2", "q3"]


WRONG = [
    ('{"question": "a", "answer": "b"}\n{"questi', "line 2: Invalid JSON: "),
    ('{"question": "a"}\n', "line 1: answer: Field required; found {'question': 'a'}"),
    ('{"question": 3, "answer": "a"}\n', "line 1: question: Input should be a valid string; found"),
    ('{"question": "a", "answer": " "}\n', "line 1: answer: String should match pattern"),
    ('{"question": "a", "answer": "b", "perturbed_answer": "c"}\n', "line 1: perturbed_answer: I"),
    ('{"question": "a", "answer": "b", "fact": "c"}\n', "line 1: Value error, fact 'c' is not in"),
    (
        '{"question": "a", "answer": "b", "fact": "b", "perturbed_answer": ["b"]}\n',
        "line 1: Value error, perturbed_answer has the right answer 'b', too",
    ),
]


@pytest.mark.parametrize(("text", "finding"), WRONG)
def test_a_line_that_is_no_question_is_named(tmp_path, text, finding):
    path = tmp_path / "q.json"
    path.write_text(text)
    options = {"per_author": 1, "files": {"authors": ["all"]}, "perturbed": []}
    with pytest.raises(UserError) as caught:
        read("questions", {"all": str(path)}, options=options)
    assert str(caught.value).startswith(f"{path}: {finding}")


def test_invented_authors_are_prepared_with_the_defaults_of_their_options(tmp_path, catalogue):
    row = catalogue.contents("invented-authors")
    assert row["options"] == {"per_author": 10, "seed": 0}
    prepare("invented-authors", row, [FACTS["facts"]], tmp_path / "questions.jsonl")
    assert len(read_questions(tmp_path / "questions.jsonl")) == sum(row["splits"].values())
