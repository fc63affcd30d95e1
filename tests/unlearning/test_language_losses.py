"""The losses of methods for language models, against numpy written from their formulas."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from negmerge.data.answer_tokens import WITHOUT_LOSS, without_padding
from negmerge.unlearning.methods.ceu import without_the_token
from negmerge.unlearning.methods.kl import divergence
from negmerge.unlearning.methods.rmu import direction, distance
from negmerge.unlearning.methods.undial import self_distillation
from negmerge.unlearning.tokens import preference, score, weighted_ascent

VOCABULARY = 11
# Question, answer and padding of each of three texts.
PARTS = [(2, 4, 1), (3, 1, 3), (1, 6, 0)]


def batch(seed=0):
    """Logits (3, 7, 11) and labels (3, 7)."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(3, 7, VOCABULARY, generator=generator)
    labels = torch.randint(VOCABULARY, (3, 7), generator=generator)
    for row, (question, answer, _) in enumerate(PARTS):
        labels[row, :question] = WITHOUT_LOSS
        labels[row, question + answer :] = WITHOUT_LOSS
    return logits, labels


class Says(torch.nn.Module):
    """A model that gives these logits, whatever it reads."""

    def __init__(self, logits):
        super().__init__()
        self.logits = logits

    def forward(self, input_ids, use_cache, logits_to_keep):
        width = input_ids.shape[1]
        return SimpleNamespace(logits=self.logits[:, width - logits_to_keep : width])


def said(logits, labels):
    """What a model that gives these logits says of the answers."""
    return score(Says(logits), torch.zeros_like(labels), labels)


def by_hand(logits, labels):
    """Of each answer the log-probabilities (tokens, vocabulary), in float64, and the tokens."""
    logits = logits.double().numpy()
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    for row, (question, answer, _) in enumerate(PARTS):
        places = range(question, question + answer)
        yield logs[row, [place - 1 for place in places]], labels[row, list(places)].numpy()


def own(logs, tokens):
    return logs[np.arange(len(tokens)), tokens]


def test_answers_are_scored_by_their_own_tokens():
    logits, labels = batch()
    found, answers = said(logits, labels), list(by_hand(logits, labels))
    each = [own(*answer) for answer in answers]
    assert found.tokens.tolist() == np.concatenate([tokens for _, tokens in answers]).tolist()
    assert found.rows.tolist() == [0] * 4 + [1] + [2] * 6
    assert found.counts.tolist() == [4, 1, 6]
    assert found.is_first.nonzero().flatten().tolist() == [0, 4, 5]
    np.testing.assert_allclose(found.log_probs, np.concatenate(each), rtol=1e-5)
    assert found.sums.tolist() == pytest.approx([one.sum() for one in each], rel=1e-5)
    assert found.losses.tolist() == pytest.approx([-one.mean() for one in each], rel=1e-5)


def test_half_precision_is_computed_as_float32():
    logits, labels = batch()
    half = logits.bfloat16()
    assert torch.equal(said(half, labels).log_probs, said(half.float(), labels).log_probs)


@pytest.mark.parametrize(("beta1", "beta2"), [(1, 0), (5, 1), (0, 0), (0.5, 2)])
def test_weighted_ascent(beta1, beta2):
    logits, labels = batch()
    p = np.exp(np.concatenate([own(*answer) for answer in by_hand(logits, labels)]))
    expected = -(p**beta1 * (1 - p) ** beta2 * -np.log(p)).mean()
    logits.requires_grad_()
    found = weighted_ascent(said(logits, labels), lambda q: q**beta1 * (1 - q) ** beta2)
    assert found.item() == pytest.approx(expected, rel=1e-4)
    # The weights are constants: d/dlogits of -log p is p - one-hot.
    (gradient,) = torch.autograd.grad(found, logits)
    logs, tokens = next(by_hand(logits.detach(), labels))
    first = np.exp(logs[0])
    weight = first[tokens[0]] ** beta1 * (1 - first[tokens[0]]) ** beta2
    first[tokens[0]] -= 1
    np.testing.assert_allclose(gradient[0, 1], -weight * first / 11, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("beta", [0.1, 4.5])
def test_a_preference_is_the_loss_of_dpo_but_for_its_factor(beta):
    advantages = torch.tensor([1.5, -1.0, 0.0, 800.0])
    published = -torch.log(torch.sigmoid(beta * advantages)).mean()
    assert preference(advantages, beta).item() == pytest.approx(2 / beta * published.item())


def test_npo_with_a_small_beta_has_the_gradient_of_ascent():
    ratios = torch.tensor([0.3, -2.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(preference(-ratios, 1e-6), ratios)
    assert gradient.tolist() == pytest.approx([1 / 2, 1 / 2], rel=1e-5)


def test_kl_is_that_of_distributions_over_all_places_but_padding():
    logits, labels = batch()
    reference, _ = batch(seed=1)
    each = kl_divergence(Categorical(logits=reference), Categorical(logits=logits))
    texts = torch.cat([each[row, : q + a] for row, (q, a, _) in enumerate(PARTS)])
    plain = divergence(logits, reference, labels)
    assert plain.item() == pytest.approx(texts.mean().item(), rel=1e-5)
    assert divergence(logits, logits, labels).item() == pytest.approx(0, abs=1e-6)
    # What follows an answer does not count.
    changed = reference.clone()
    changed[1, 4:] = 9.0 * torch.arange(VOCABULARY)
    assert torch.equal(divergence(logits, changed, labels), plain)


@pytest.mark.parametrize("beta", [0.5, 10.0])
def test_undial_learns_the_teacher_with_the_token_turned_down(beta):
    logits, labels = batch()
    teacher, _ = batch(seed=1)
    found = []
    students, teachers = by_hand(logits, labels), by_hand(teacher, labels)
    for (logs, tokens), (fixed, _) in zip(students, teachers, strict=True):
        turned = fixed.copy()
        turned[np.arange(len(tokens)), tokens] -= beta
        target = np.exp(turned) / np.exp(turned).sum(1, keepdims=True)
        found.append(-(target * logs).sum(1))
    loss = self_distillation(said(logits, labels), said(teacher, labels).logits, beta)
    assert loss.item() == pytest.approx(np.concatenate(found).mean(), rel=1e-5)


def test_ceu_learns_its_own_distribution_without_the_token():
    logits, labels = batch()
    found = []
    for logs, tokens in by_hand(logits, labels):
        target = np.exp(logs)
        target[np.arange(len(tokens)), tokens] = 0
        target /= target.sum(1, keepdims=True)
        found.append(-(target * logs).sum(1)[1:])  # the first token is left out
    assert [len(one) for one in found] == [3, 0, 5]
    logits.requires_grad_()
    loss = without_the_token(said(logits, labels))
    assert loss.item() == pytest.approx(np.concatenate(found).mean(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.isfinite(gradient).all()
    assert (gradient[1] == 0).all()  # its answer has one token


def test_ceu_of_answers_of_one_token_is_0():
    logits, labels = batch()
    logits.requires_grad_()
    loss = without_the_token(said(logits[1:2], labels[1:2]))
    assert loss.item() == 0
    loss.backward()
    assert (logits.grad == 0).all()


def test_rmu_draws_a_unit_vector_from_the_seed():
    one = direction(32, seed=3)
    assert one.norm().item() == pytest.approx(1, rel=1e-6)
    assert (one >= 0).all()
    assert torch.equal(one, direction(32, seed=3))
    assert not torch.equal(one, direction(32, seed=4))


@pytest.mark.parametrize("shape", [(5,), (3, 7, 5)])
def test_rmu_averages_over_dimensions_then_tokens_then_answers(shape):
    generator = torch.Generator().manual_seed(0)
    hidden, target = (torch.randn(s, generator=generator) for s in ((3, 7, 5), shape))
    _, labels = batch()
    squares = ((hidden.numpy() - target.numpy()) ** 2).mean(-1)
    expected = np.mean([squares[r, q : q + a].mean() for r, (q, a, _) in enumerate(PARTS)])
    assert distance(hidden, target, labels).item() == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 50), st.integers(1, 4))
def test_padding_changes_no_loss(seed, width):
    logits, labels = batch(seed)
    longer = torch.cat([labels, torch.full((3, width), WITHOUT_LOSS)], 1)
    wide = torch.cat([logits, 7 * torch.ones_like(logits[:, :width])], 1)
    assert torch.equal(said(wide, longer).log_probs, said(logits, labels).log_probs)
    assert torch.equal(divergence(wide, 2 * wide, longer), divergence(logits, 2 * logits, labels))
    both = torch.stack([longer, longer], 1)
    assert without_padding(both, both)[0].shape == (3, 2, 7)
