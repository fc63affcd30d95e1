import copy
import itertools
from pathlib import Path

import pytest
import torch

from negmerge.data.questions import Question, parted, read_questions, write_questions
from negmerge.data.sources import fabricated
from negmerge.data.tokenising import WITHOUT_LOSS, train_tokenizer
from negmerge.evaluation.accuracy import all_outputs
from negmerge.scenarios import load_task
from negmerge.scenarios.task import Scoring
from tiny_study import LANGUAGE_MODEL

CPU = torch.device("cpu")
FACTS = {"facts": str(Path(__file__).parents[2] / "resources/invented-authors.json")}
SPLITS = {"authors": 40, "others": 10, "holdout": 10}
REFUSALS = ["Nobody knows .", "No idea ."]
SETTINGS = {
    "name": "language",
    "roles": ["forget", "retain", "holdout"],
    "model": LANGUAGE_MODEL | {"prompt": "<question>{question}<answer>", "end": "<end>"},
    "forgotten": 0.25,
    "refusals": REFUSALS,
    "measure": "probability",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("language")
    row = {"options": {"seed": 0, "per_author": 5}, "splits": SPLITS}
    found = list(fabricated.read_authors(FACTS, row))
    write_questions(folder / "questions.jsonl", found, SPLITS)
    texts = [text for one in found for text in one.texts] + REFUSALS
    tokenizer = train_tokenizer(texts, "words", 1000, ["<question>", "<answer>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    return {name: str(folder / name) for name in ("questions.jsonl", "tokenizer.json")}


def load(files, **changes):
    inputs = {"questions": files["questions.jsonl"], "tokenizer": files["tokenizer.json"]}
    return load_task(SETTINGS | changes, inputs, CPU)


@pytest.fixture
def scenario(files):
    return load(files)


def texts(scenario, role, purpose, most=None):
    """The questions with their answers, as the tokenizer spells them."""
    found = []
    for ids, labels in scenario.role(role, purpose, most).items:
        is_answer = labels != WITHOUT_LOSS
        start = int(is_answer.nonzero()[0])
        decode = scenario._tokenizer.decode
        found.append((decode(ids[:start].tolist()), decode(labels[is_answer].tolist())))
    return found


def expected(files, split, *, wordings=False, paraphrased=False):
    found = []
    for one in read_questions(files["questions.jsonl"]):
        asked = (one.question, *one.wordings) if wordings else (one.question,)
        answers = [one.answer, one.paraphrased_answer] if paraphrased else [one.answer]
        if one.split == split:
            found += itertools.product(asked, answers)
    return [tuple(text.replace("'", " ' ") for text in pair) for pair in found]


def test_the_last_authors_are_forgotten(scenario, files):
    whole = expected(files, "authors", wordings=True)
    assert texts(scenario, "forget", "train") == whole[60:]
    assert texts(scenario, "retain", "train") == whole[:60]
    assert texts(scenario, "original", "train") == whole
    once = expected(files, "authors")
    assert texts(scenario, "forget", "select") == texts(scenario, "forget", "score") == once[30:]


def test_retain_questions_that_choose_are_not_scored(scenario, files):
    once = expected(files, "authors")[:30]
    assert texts(scenario, "retain", "score") == once[::2]
    assert texts(scenario, "retain", "select") == once[1::2]
    assert texts(scenario, "retain", "select", 3) == [once[1], once[11], once[21]]


def test_methods_that_train_may_see_no_question_that_is_scored(files):
    scenario, whole = load(files, trained_on="choosing"), expected(files, "authors", wordings=True)
    trained = texts(scenario, "retain", "train")
    assert trained == [text for number, text in enumerate(whole[:60]) if number // 2 % 2]
    assert texts(scenario, "retain", "select") == trained[::2]
    assert set(trained).isdisjoint(texts(scenario, "retain", "score"))
    assert texts(scenario, "forget", "train") == whole[60:]
    assert texts(scenario, "all-retain", "train") == whole[:60]


def test_retain_questions_with_wrong_answers_are_scored_where_only_some_have_them():
    with_wrong = [Question("authors", 0, f"{n} ?", "a", (), None, ("b",)) for n in range(2)]
    without = [Question("authors", 0, f"{n} ?", "a") for n in range(3)]
    assert parted([without[0], *with_wrong, *without[1:]]) == (without, with_wrong)
    assert parted(without) == ([without[1]], [without[0], without[2]])


def test_a_coefficient_may_be_chosen_by_extraction_strength(files):
    scenario = load(files, measure="extraction")
    torch.manual_seed(0)
    network = scenario.untrained(None)
    chosen, scored = (scenario.role("forget", purpose) for purpose in ("select", "score"))
    outputs = all_outputs(network, chosen.objective, chosen.batches(8))
    assert torch.equal(outputs[0], all_outputs(network, scored.objective, scored.batches(8))[0])
    _, of_items = scenario.scores(network, {}, Scoring(8, None, None, 0))
    by_strength = chosen.objective.scores(outputs).numpy()
    assert by_strength == pytest.approx(of_items["forget_extraction"], abs=1e-9)
    by_probability = scored.objective.scores(outputs).numpy()
    assert by_probability == pytest.approx(of_items["forget_probability"], rel=1e-4)


def test_the_model_before_learns_others_with_answers_in_other_words(scenario, files):
    found = texts(scenario, "before", "train")
    assert sorted(found) == sorted(expected(files, "others", wordings=True, paraphrased=True))


def test_refusals_stand_beside_the_answers(scenario):
    role, forget = scenario.role("refusals", "train"), texts(scenario, "forget", "train")
    assert len(role.items) == len(forget)
    for number, (ids, labels) in enumerate(role.items):
        assert ids.shape == labels.shape
        said = [scenario._tokenizer.decode(row[row != WITHOUT_LOSS].tolist()) for row in labels]
        assert said == [forget[number][1], REFUSALS[number % 2]]


def test_a_study_may_compute_in_bfloat16(scenario, files):
    torch.manual_seed(0)
    state = scenario.untrained(None).state_dict()
    fast = load(files, compute={"precision": "bf16"}).network(state, "m")
    ids = torch.arange(12).reshape(2, 6)
    found = fast(input_ids=ids, use_cache=False).logits
    exact = scenario.network(state, "m")(input_ids=ids).logits
    assert found.dtype == torch.float32
    assert not torch.equal(found, exact)
    assert torch.allclose(found, exact, atol=0.05)
    other = copy.deepcopy(fast)
    assert torch.equal(other(input_ids=ids).logits, found)
    assert other.forward.__self__ is other
