"""Losses over the tokens of answers, on the logits and labels of a batch.

Logits are (n, tokens, vocabulary), labels (n, tokens) int64: in each place the token of that place
itself, or `NO_LOSS` where it is of a question or padding. The logits of a place are for the token
of the next one.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.unlearning.passes import frozen_copy

# The label of a token that carries no loss, as in torch and transformers.
NO_LOSS = -100


def logits_of(model: nn.Module, ids: Tensor) -> Tensor:
    """Compute the logits of token ids (n, tokens), padded on the right.

    A causal model does not look ahead, so no padding changes what is before it.
    """
    return model(ids, use_cache=False).logits


def next_tokens(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Align logits with the labels that they are for: (n, tokens - 1, vocabulary), (n, tokens - 1).

    The logits are float32, whatever the model computes in.
    """
    return logits[:, :-1].float(), labels[:, 1:]


def log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute log p of each label (n, tokens - 1), and 0 where there is none."""
    logits, labels = next_tokens(logits, labels)
    flat = functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LOSS, reduction="none"
    )
    return -flat.view_as(labels)


def is_answer(labels: Tensor) -> Tensor:
    """Return where `log_probs` has the token of an answer, (n, tokens - 1) bool."""
    return labels[:, 1:] != NO_LOSS


def answer_log_probs(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute S of each answer (n,): the sum of its tokens' log p, its end included."""
    return log_probs(logits, labels).sum(dim=1)


def answer_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute L of each answer (n,): minus the mean of its tokens' log p."""
    return -answer_log_probs(logits, labels) / is_answer(labels).sum(dim=1)


def mean_over_answers(values: Tensor, where: Tensor) -> Tensor:
    """Return the mean of values (n, tokens) over all places of a batch where a mask is true.

    0 where it is true nowhere.
    """
    return values.where(where, 0).sum() / where.sum().clamp(min=1)


def weighted_ascent(logits: Tensor, labels: Tensor, weigh: Callable[[Tensor], Tensor]) -> Tensor:
    """Return -mean over the tokens of w * (-log p), with the weight w of each token's p.

    Args:
        logits: of a batch.
        labels: of a batch.
        weigh: from p, without gradient, to w, of the same shape.
    """
    found = log_probs(logits, labels)
    return mean_over_answers(weigh(found.detach().exp()) * found, is_answer(labels))


class Reference:
    """A frozen copy of a model as it is, to compare it with later.

    Args:
        model: the model.
    """

    def __init__(self, model: nn.Module):
        self._model = frozen_copy(model)

    @torch.no_grad()
    def logits(self, ids: Tensor) -> Tensor:
        """Compute the logits of token ids, without gradients."""
        return logits_of(self._model, ids)

    @torch.no_grad()
    def log_probs(self, ids: Tensor, labels: Tensor) -> Tensor:
        """Compute S of each answer, (n,), without gradients."""
        return answer_log_probs(logits_of(self._model, ids), labels)

    @torch.no_grad()
    def hidden(self, ids: Tensor, layer: int) -> Tensor:
        """Compute what a layer gives, without gradients; see `hidden_of`."""
        return hidden_of(self._model, ids, layer)


def hidden_of(model: nn.Module, ids: Tensor, layer: int) -> Tensor:
    """Compute what a layer gives for token ids: (n, tokens, dimensions).

    Args:
        model: a causal language model of transformers.
        ids: (n, tokens).
        layer: its number, from 0; the last one's output is after the norm that follows it.
    """
    found = model(ids, use_cache=False, output_hidden_states=True)
    # The first are the embeddings.
    return found.hidden_states[layer + 1]
