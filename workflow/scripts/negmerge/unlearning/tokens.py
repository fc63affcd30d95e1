"""Losses over the tokens of answers: what a model says of them, and of a batch's texts."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import logsigmoid

from negmerge.evaluation.answering import scored_tokens


@dataclass(frozen=True)
class Scored:
    """What a model says in the places of a batch's answers, answer by answer."""

    logits: Tensor  # (tokens, vocabulary) float32, whatever the model computes in
    tokens: Tensor  # (tokens,) int64, the true ones
    rows: Tensor  # (tokens,) int64, which of the answers each belongs to

    @property
    def log_probs(self) -> Tensor:
        """Log p of each token, (tokens,)."""
        return -functional.cross_entropy(self.logits, self.tokens, reduction="none")

    @property
    def counts(self) -> Tensor:
        """How many tokens each answer has, (answers,)."""
        return self.rows.bincount()

    @property
    def sums(self) -> Tensor:
        """S of each answer, (answers,): the sum of its tokens' log p, its end included."""
        # Answer by answer: sums at given places have no fixed order on a GPU.
        parts = self.log_probs.split(self.counts.tolist())
        return torch.stack([part.sum() for part in parts])

    @property
    def losses(self) -> Tensor:
        """L of each answer, (answers,): minus the mean of its tokens' log p."""
        return -self.sums / self.counts

    @property
    def is_first(self) -> Tensor:
        """Which tokens are the first of an answer, (tokens,) bool."""
        return torch.cat([self.rows.new_ones(1), self.rows.diff()]) > 0


def score(model: nn.Module, ids: Tensor, labels: Tensor) -> Scored:
    """Compute what a model says of the answers of a batch, ids and labels (n, width)."""
    logits, tokens, (rows, _) = scored_tokens(model, ids, labels)
    return Scored(logits.float(), tokens, rows)


def weighted_ascent(scored: Scored, weigh: Callable[[Tensor], Tensor]) -> Tensor:
    """Return -mean over the tokens of w(p) * (-log p); `weigh` makes w of p, without gradient."""
    log_probs = scored.log_probs
    return (weigh(log_probs.detach().exp()) * log_probs).mean()


def preference(advantages: Tensor, beta: float) -> Tensor:
    """Return -(2 / beta) * mean of log sigmoid(beta * advantage): DPO's loss but for the factor."""
    return -2 / beta * logsigmoid(beta * advantages).mean()
