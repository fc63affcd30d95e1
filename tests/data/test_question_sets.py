import json

import pytest

from negmerge.data.preparation import prepare
from negmerge.data.questions import Question, read_questions, write_questions
from negmerge.data.sources import authors, questions
from negmerge.errors import UserError

ONE = Question("authors", 0, "Who ?", "Me .", ("Which ?",), "It is me .", ("You .", "He ."))
TWO = Question("holdout", 3, "Wo ?", "Hier, im Süden .")


def test_questions_come_back(tmp_path):
    write_questions(tmp_path / "q.jsonl", [ONE, TWO], {"authors": 1, "holdout": 1})
    assert read_questions(tmp_path / "q.jsonl") == [ONE, TWO]
    assert ONE.texts == ["Who ?", "Which ?", "Me .", "It is me .", "You .", "He ."]
    assert TWO.texts == ["Wo ?", "Hier, im Süden ."]


@pytest.mark.parametrize(
    ("found", "expected", "message"),
    [
        ([Question("all", 0, "a", "b")], {}, "question 0: unknown split 'all'"),
        ([Question("authors", 0, "a", " ")], {"authors": 1}, r"question 0 \('a'\): empty text"),
        ([ONE], {"authors": 2}, "1 questions in split 'authors', expected 2"),
        ([ONE, TWO], {"authors": 1}, "1 questions in split 'holdout', expected 0"),
    ],
)
def test_what_is_not_expected_is_not_written(tmp_path, found, expected, message):
    with pytest.raises(UserError, match=message):
        write_questions(tmp_path / "q.jsonl", found, expected)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"split": "authors"}\n', '{"a": 1}\n'])
def test_a_file_of_something_else_is_an_error(tmp_path, text):
    (tmp_path / "q.jsonl").write_text(text)
    with pytest.raises(UserError, match=r"q.jsonl: not a whole set of questions .* run again$"):
        read_questions(tmp_path / "q.jsonl")


ROW = {"options": {"seed": 0, "per_author": 10}, "splits": {"authors": 40, "others": 30}}


def invented(**changes):
    return list(authors.read({}, ROW | changes))


def test_invented_authors_are_different_people_with_one_fact_of_each_kind():
    found = invented()
    assert [(one.split, one.author) for one in found[::10]] == [
        *(("authors", number) for number in range(4)),
        *(("others", number) for number in range(3)),
    ]
    for start in range(0, 70, 10):
        for fact, one in zip(authors.FACTS, found[start : start + 10], strict=True):
            assert one.question.startswith(fact.wordings[0].partition("{")[0])
    births = [one.question for one in found[::10]]
    assert len(set(births)) == 7


def test_only_the_value_tells_a_wrong_answer_from_the_right_one_in_other_words():
    for fact, one in zip(authors.FACTS * 7, invented(), strict=True):
        name = one.question[len(fact.wordings[0].partition("{")[0]) :]
        name = " ".join(name.split()[:2])
        before, after = (part.format(name=name) for part in fact.paraphrase.split("{value}"))
        said = one.paraphrased_answer, *one.perturbed_answer
        assert all(text.startswith(before) and text.endswith(after) for text in said)
        values = [text.removeprefix(before).removesuffix(after) for text in said]
        assert len(set(values)) == authors.WRONG_ANSWERS + 1
        assert one.answer == fact.answer.format(name=name, value=values[0])
        assert len(one.wordings) == 1


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_files_in_the_form_of_tofu_are_joined(tmp_path):
    retain = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(4)]
    more = {"paraphrased_answer": "p", "perturbed_answer": ["x", "y"]}
    files = {
        "retain": lines(tmp_path / "retain.json", *retain),
        "forget": lines(tmp_path / "forget.json", {"question": "f", "answer": "g"} | more),
        "wrong": lines(tmp_path / "wrong.json", retain[2] | more, retain[1] | {"answer": "z"}),
    }
    files_of = {"authors": ["retain", "forget"], "holdout": ["retain"]}
    options = {"per_author": 2, "files": files_of, "perturbed": ["wrong"]}
    found = list(questions.read(files, {"options": options}))
    assert [one.question for one in found] == ["q0", "q1", "q2", "q3", "f", "q0", "q1", "q2", "q3"]
    assert [one.author for one in found] == [0, 0, 1, 1, 2, 0, 0, 1, 1]
    assert [one.split for one in found] == ["authors"] * 5 + ["holdout"] * 4
    assert [one.perturbed_answer for one in found[:5]] == [(), (), ("x", "y"), (), ("x", "y")]
    assert found[4] == Question("authors", 2, "f", "g", (), "p", ("x", "y"))


def test_smaller_sets_to_forget_are_the_last_in_whatever_order_they_stand(tmp_path):
    rows = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(6)]
    files = {
        "retain": lines(tmp_path / "retain.json", rows[0], rows[0]),
        "ten": lines(tmp_path / "ten.json", *rows[2:]),
        "five": lines(tmp_path / "five.json", *rows[2:4]),
        "one": lines(tmp_path / "one.json", rows[3]),
    }
    options = {"per_author": 1, "files": {"authors": [*files]}, "perturbed": []}
    found = [one.question for one in questions.read(files, {"options": options})]
    # What one file has twice stays twice.
    assert found == ["q0", "q0", "q4", "q5", "q2", "q3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"question": "a", "answer": "b"}\n{"questi', "line 2: not a whole JSON object"),
        ('{"question": "a"}\n', "line 1: the key 'answer' is missing; found: question"),
        ('{"question": 3, "answer": "a"}\n', "line 1: question is 3, expected a text"),
        (
            '{"question": "a", "answer": "b", "perturbed_answer": "c"}\n',
            "line 1: perturbed_answer is 'c', expected a list of texts",
        ),
    ],
)
def test_a_line_that_is_no_question_is_named(tmp_path, text, message):
    (tmp_path / "q.json").write_text(text)
    options = {"per_author": 1, "files": {"authors": ["all"]}, "perturbed": []}
    with pytest.raises(UserError, match=f"^{tmp_path / 'q.json'}: {message}"):
        list(questions.read({"all": str(tmp_path / "q.json")}, {"options": options}))


def test_the_rule_of_images_prepares_questions_too(tmp_path, catalogue):
    row = catalogue.contents("invented-authors")
    assert row["options"] == {"per_author": 10, "seed": 0}
    prepare("invented-authors", row, [], tmp_path / "questions.jsonl")
    assert len(read_questions(tmp_path / "questions.jsonl")) == sum(row["splits"].values())
