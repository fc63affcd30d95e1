"""All metrics of a small language model, against the pieces by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import hmean
from sklearn.metrics import roc_auc_score

from negmerge.data.questions import Question
from negmerge.data.tokenising import Encoder, train_tokenizer
from negmerge.scenarios.language.measuring import measure
from negmerge.scenarios.language.scenario import FURTHER
from small_language_models import language_model

CPU = torch.device("cpu")
NAMES = ["Ada Bo", "Cy Dee", "Eli Fay", "Gus Hal", "Ida Jon"]
PLACES = ["Rome", "Oslo", "Lima", "Bern", "Kyiv"]
SPLITS = {"forget": 0, "retain": 1, "holdout": 2, "world-facts": 3}


def question(split, author, place):
    others = tuple(f"born in {one} ." for one in PLACES if one != place)[:3]
    return Question(
        split, author, f"Where was {NAMES[author]} born ?", f"born in {place} .",
        paraphrased_answer=f"{place} is where .", perturbed_answer=others,
    )  # fmt: skip


def asked():
    """Five questions of each role, with unlike places."""
    return {
        role: [question(role, n, PLACES[(n + shift) % 5]) for n in range(5)]
        for role, shift in SPLITS.items()
    }


@pytest.fixture(scope="module")
def encoder():
    words = " ".join([*NAMES, *PLACES, "Where was born ? in . is where"])
    tokenizer = train_tokenizer([words], "words", 61, ["<question>", "<answer>"])
    return Encoder(tokenizer, "<question> {question} <answer>", 48)


@pytest.fixture(scope="module")
def measured(encoder):
    return measure(language_model(), encoder, asked(), CPU, 8)


def loss(encoder, question, answer):
    """The mean loss of an answer, by the logits of the text alone."""
    model = language_model()
    prompt, tokens = encoder.encode(question, answer)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(tokens)).item()


def test_probabilities_and_truth_ratios(encoder, measured):
    record, arrays = measured
    for role, questions in asked().items():
        right, other = (
            np.array([loss(encoder, one.question, getattr(one, name)) for one in questions])
            for name in ("answer", "paraphrased_answer")
        )
        wrong = np.array(
            [[loss(encoder, one.question, a) for a in one.perturbed_answer] for one in questions]
        )
        p = np.exp(-right)
        if role == "world-facts":
            p = p / (p + np.exp(-wrong).sum(1) + 1e-10)
        np.testing.assert_allclose(arrays[f"{role}_probability"], p, rtol=1e-4)
        r = np.exp(-wrong.mean(1)) / (np.exp(-other) + 1e-10)
        truth = np.minimum(r, 1 / r) if role == "forget" else np.maximum(0, 1 - r)
        np.testing.assert_allclose(arrays[f"{role}_truth"], truth, rtol=1e-4, atol=1e-5)
        if role == "forget":
            np.testing.assert_allclose(record["truth_ratios"], r, rtol=1e-4)
            np.testing.assert_allclose(record["losses"]["forget"], right, rtol=1e-4)


def test_means_have_their_standard_errors(measured):
    record, arrays = measured
    for role, of_role in record["answers"].items():
        for name, found in of_role.items():
            values = arrays[f"{role}_{name}"]
            assert found["n"] == len(values) == 5
            assert found["mean"] == pytest.approx(values.mean())
            assert found["error"] == pytest.approx(values.std(ddof=1) / np.sqrt(5))


def test_utility_is_of_the_roles_to_keep(measured):
    record, arrays = measured
    parts = [
        arrays[f"{role}_{name}"].mean()
        for role in ("retain", "world-facts")
        for name in ("probability", "rouge", "truth")
    ]
    assert record["utility"]["value"] == pytest.approx(hmean(parts))
    assert record["utility"]["error"] >= 0


def test_attacks_tell_forgotten_from_unseen_answers(measured, encoder):
    record, _ = measured
    losses = [
        loss(encoder, one.question, one.answer)
        for role in ("forget", "holdout")
        for one in asked()[role]
    ]
    expected = roc_auc_score([0] * 5 + [1] * 5, losses)
    assert record["attacks"]["loss"]["value"] == pytest.approx(expected)
    assert set(record["attacks"]) == {"loss", "zlib", "min_k", "min_k_plus_plus"}
    both = [record["min_k"][role] for role in ("forget", "holdout")]
    area = roc_auc_score([0] * 5 + [1] * 5, np.concatenate(both))
    assert record["attacks"]["min_k"]["value"] == pytest.approx(area)


def test_without_wrong_answers_there_is_no_truth_ratio_and_no_utility(encoder):
    bare = {
        role: [Question(role, n, one.question, one.answer) for n, one in enumerate(questions)]
        for role, questions in asked().items()
        if role in ("forget", "retain")
    }
    record, arrays = measure(language_model(), encoder, bare, CPU, 8)
    assert record["utility"] is None
    assert record["truth_ratios"] == []
    assert "attacks" not in record
    assert "forget_truth" not in arrays
    assert {metric.of(record, record).value for metric in FURTHER if metric.name == "utility"} == {
        None
    }


def test_facts_are_measured_by_their_own_tokens(encoder):
    def fact(split, author, place):
        one = question(split, author, place)
        return replace(one, paraphrased_answer=None, fact=place)

    roles = {
        role: [fact(role, n, PLACES[(n + shift) % 5]) for n in range(5)]
        for role, shift in (("forget", 0), ("retain", 1))
    }
    plain = Encoder(encoder.tokenizer, "{question}", 48, prompts={"": "{question}"})
    texts = [Question("text", n, "", f"born in {PLACES[n]} .") for n in range(3)]
    model = language_model()
    record, arrays = measure(model, plain, roles | {"text": texts}, CPU, 8)

    def log_probs(words):
        ids = plain.tokenizer.encode(words).ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, :-1].log_softmax(dim=1)
        return logits, logits.gather(1, torch.tensor(ids[1:])[:, None])[:, 0], ids[1:]

    for role, questions in roles.items():
        for n, one in enumerate(questions):
            lines = [(one.fact, *(text.split()[2] for text in one.perturbed_answer))]
            logits, own, ids = log_probs(f"{one.question} born in {one.fact}")
            assert arrays[f"{role}_probability"][n] == pytest.approx(float(own[-1].exp()), rel=1e-4)
            wrong = [float(log_probs(f"{one.question} born in {w}")[1][-1]) for w in lines[0][1:]]
            assert arrays[f"{role}_first"][n] == (float(own[-1]) > max(wrong))
            assert arrays[f"{role}_greedy"][n] == (int(logits[-1].argmax()) == ids[-1])
    assert set(record["answers"]["forget"]) == {"probability", "greedy", "first", "truth"}
    losses = torch.cat([-log_probs(one.answer)[1] for one in texts])
    assert record["perplexity"]["mean"] == pytest.approx(float(losses.mean().exp()), rel=1e-4)
