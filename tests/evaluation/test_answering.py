import math

import pytest
import torch

from negmerge.data.tokenising import WITHOUT_LOSS, alike
from negmerge.evaluation.answering import UNIT, Answering
from negmerge.models.answers import score_answers
from small_language_models import language_model

CPU = torch.device("cpu")
OBJECTIVE = Answering(CPU)
# Prompts and answers of unlike length; 2 ends an answer and is the padding, too.
TEXTS = [([5, 6, 7], [8, 9, 2]), ([5], [3, 2]), ([4, 4, 4, 4, 4, 4], [11, 12, 13, 14, 2])]


def batch(texts=TEXTS, width=14):
    ids = torch.full((len(texts), width), 2)
    labels = torch.full((len(texts), width), WITHOUT_LOSS)
    for row, (prompt, answer) in enumerate(texts):
        whole = torch.tensor([*prompt, *answer])
        ids[row, : len(whole)] = whole
        labels[row, len(prompt) : len(whole)] = torch.tensor(answer)
    return ids, labels


@pytest.fixture(scope="module")
def model():
    return language_model()


def test_the_probability_is_that_of_the_answer_with_its_end(model):
    with torch.no_grad():
        outputs = OBJECTIVE.outputs(model, batch())
    for row, (prompt, answer) in enumerate(TEXTS):
        whole = torch.tensor([[*prompt, *answer]])
        logs = model(whole).logits[0].log_softmax(dim=1)
        places = range(len(prompt), whole.shape[1])
        expected = math.exp(sum(float(logs[p - 1, whole[0, p]]) for p in places) / len(answer))
        assert float(OBJECTIVE.scores(outputs)[row]) == pytest.approx(expected, rel=1e-5)
    scored = score_answers(model, [(prompt, [answer]) for prompt, answer in TEXTS], CPU)
    losses = torch.tensor([one.loss for (one,) in scored], dtype=torch.float64)
    assert torch.allclose(OBJECTIVE.scores(outputs), torch.exp(-losses), rtol=1e-5)
    for (one,), predicted, labels in zip(scored, *outputs[1:], strict=True):
        assert one.predicted.tolist() == predicted[labels != WITHOUT_LOSS].tolist()


def test_texts_of_like_length_pass_together_and_are_scored_as_alone(model):
    long = [4 + place % 7 for place in range(40)]
    texts = [(long if n % 4 == 1 else [5], [3 + n, 7, 2]) for n in range(32)]
    ids, labels = batch(texts, width=46)
    parts = alike(labels)
    assert [len(part) for part in parts] == [8, 8, 8, 8]
    assert parts[3].tolist() == list(range(1, 32, 4))
    assert len(alike(labels[:3])) == 1  # it would save little
    loss = OBJECTIVE.loss(model, 0.0)
    alone = torch.stack([loss(ids[n : n + 1], labels[n : n + 1]) for n in range(32)])
    assert torch.allclose(loss(ids, labels), alone.mean(), rtol=1e-5)
    with torch.no_grad():
        result = OBJECTIVE.scores(OBJECTIVE.outputs(model, (ids, labels)))
    assert torch.allclose(result, alone.detach().double().neg().exp(), rtol=1e-5)


def test_sums_of_scores_do_not_depend_on_their_order(model):
    with torch.no_grad():
        scores = OBJECTIVE.scores(OBJECTIVE.outputs(model, batch()))
    assert torch.equal(scores / UNIT, (scores / UNIT).round())
    many = torch.rand(1000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    many = (many / UNIT).round() * UNIT
    assert many.sum() == many.flip(0).sum() == sum(many.tolist())


def test_the_loss_is_the_mean_over_the_tokens_of_answers_as_in_transformers(model):
    ids, labels = batch()
    expected = model(input_ids=ids, labels=labels).loss
    loss = OBJECTIVE.loss(model, 0.0)(ids, labels)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    loss.backward()
    assert model.get_input_embeddings().weight.grad.abs().sum() > 0
    model.zero_grad()


class Whole(torch.nn.Module):
    """A model that cannot leave out logits."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, use_cache):
        return self.model(input_ids=input_ids, use_cache=use_cache)


def test_no_logits_are_made_for_questions(model):
    seen = []
    head = model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _, inputs, found: seen.append(found.shape[1]))
    ids, labels = batch([([5] * 9, [8, 9, 2]), ([6] * 8, [3, 2])])
    losses = [OBJECTIVE.loss(one, 0.0)(ids, labels) for one in (model, Whole(model))]
    handle.remove()
    assert seen == [12 - 7, 12]
    assert float(losses[0]) == pytest.approx(float(losses[1]), rel=1e-6)


def test_what_is_not_a_number_is_known_by_nobody(model):
    _, labels = batch()
    log_probs = torch.full(labels.shape, math.nan, dtype=torch.float64)
    assert OBJECTIVE.scores((log_probs, labels, labels)).tolist() == [0, 0, 0]


def test_texts_that_begin_alike_give_the_same_loss_and_gradient(model):
    texts = [([5, 6, 7], [8, 9]), ([5, 6, 7], [8, 4]), ([5, 6], [7]), ([4], [5, 6])]
    ids, labels = batch(texts)
    results = []
    for packed in (False, True):
        objective = Answering(CPU, packed=packed)
        loss = objective.loss(model, 0.1)(ids, labels)
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            outputs = objective.outputs(model, (ids, labels))
        results.append((loss, gradients, objective.scores(outputs), outputs[1]))
    (loss, gradients, scores, said), (other, others, again, also) = results
    assert torch.allclose(loss, other, rtol=1e-5)
    assert torch.allclose(scores, again, rtol=1e-5)
    assert torch.equal(said, also)
    for first, second in zip(gradients, others, strict=True):
        assert torch.allclose(first, second, rtol=1e-4, atol=1e-6)
