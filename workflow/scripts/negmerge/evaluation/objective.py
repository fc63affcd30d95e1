"""What a network is to do with the items of a role: how it is trained on them, and measured."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from negmerge.evaluation.counts import Accuracy

# What a network takes, and what it should answer; the first dimension of both is that of the items.
Batch = tuple[Tensor, Tensor]
# What is kept of a network's answers, on the CPU; the first dimension of each is that of the items.
Outputs = tuple[Tensor, ...]
# From the members of a batch to a scalar.
Loss = Callable[..., Tensor]


class Objective(Protocol):
    """How networks are trained and measured on some kind of items."""

    device: torch.device  # where the networks are

    def loss(self, network: nn.Module, label_smoothing: float) -> Loss:
        """Make the loss of a batch, which calls the network; both are on one device."""

    def outputs(self, network: nn.Module, batch: Batch) -> Outputs:
        """Compute what is kept of a network's answers to a batch."""

    def scores(self, outputs: Outputs) -> Tensor:
        """Return how right each answer is, (n,), 0..1.

        bool, or float64 in multiples of 2^-30: the sum of some million of them is exact, so it does
        not depend on their order.
        """

    def confidence(self, outputs: Outputs) -> Tensor:
        """Return the probability of each right answer, (n,) float, 0..1."""

    def classes(self, outputs: Outputs) -> int:
        """Count the answers to choose among; 0 where they are not counted."""


def total(scores: Tensor) -> Accuracy:
    """Return the sum of scores."""
    return Accuracy(scores.sum().item(), len(scores))


@torch.no_grad()
def all_outputs(network: nn.Module, objective: Objective, batches: Iterable[Batch]) -> Outputs:
    """Return what is kept of a network's answers to all items."""
    network.eval()
    return joined([objective.outputs(network, batch) for batch in batches])


def joined(found: Sequence[Outputs]) -> Outputs:
    """Return the outputs of several batches as those of one."""
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))
