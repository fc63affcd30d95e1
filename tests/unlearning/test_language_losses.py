"""The tokens of answers that losses are made of, against numpy."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data.tokenising import WITHOUT_LOSS, without_padding
from negmerge.unlearning.methods.ceu import without_the_token
from negmerge.unlearning.methods.kl import divergence
from negmerge.unlearning.tokens import score

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


def scored(logits, labels):
    """What a model that gives these logits says of the answers."""
    return score(Says(logits), torch.zeros_like(labels), labels)


def test_answers_are_scored_by_their_own_tokens():
    logits, labels = batch()
    result, tokens, log_probs = scored(logits, labels), [], []
    logs = logits.double().log_softmax(-1).numpy()
    for row, (question, answer, _) in enumerate(PARTS):
        places = np.arange(question, question + answer)
        tokens.append(labels[row, places].numpy())
        log_probs.append(logs[row, places - 1, tokens[-1]])
    assert result.tokens.tolist() == np.concatenate(tokens).tolist()
    assert result.rows.tolist() == [0] * 4 + [1] + [2] * 6
    assert result.counts.tolist() == [4, 1, 6]
    assert result.is_first.nonzero().flatten().tolist() == [0, 4, 5]
    np.testing.assert_allclose(result.log_probs, np.concatenate(log_probs), rtol=1e-5)
    assert result.sums.tolist() == pytest.approx([part.sum() for part in log_probs], rel=1e-5)
    assert result.losses.tolist() == pytest.approx([-part.mean() for part in log_probs], rel=1e-5)


def test_ceu_of_answers_of_one_token_is_0():
    logits, labels = batch()
    logits.requires_grad_()
    loss = without_the_token(scored(logits[1:2], labels[1:2]))
    assert loss.item() == 0
    loss.backward()
    assert (logits.grad == 0).all()


@given(st.integers(0, 50), st.integers(1, 4))
def test_padding_changes_no_loss(seed, width):
    logits, labels = batch(seed)
    longer = torch.cat([labels, torch.full((3, width), WITHOUT_LOSS)], 1)
    wide = torch.cat([logits, 7 * torch.ones_like(logits[:, :width])], 1)
    assert torch.equal(scored(wide, longer).log_probs, scored(logits, labels).log_probs)
    assert torch.equal(divergence(wide, 2 * wide, longer), divergence(logits, 2 * logits, labels))
    both = torch.stack([longer, longer], 1)
    assert without_padding(both, both)[0].shape == (3, 2, 7)
