"""What a network should do with items, in training and measuring; accuracy, and relearn time."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from negmerge.evaluation.outcomes import Accuracy

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
        """Return how right each answer is, (n,): bool, or float64 in multiples of 2^-30."""

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


def joined(outputs: Sequence[Outputs]) -> Outputs:
    """Return the outputs of several batches as those of one."""
    return tuple(torch.cat(parts) for parts in zip(*outputs, strict=True))


class Ensemble(nn.Module):
    """Models of one architecture; its logits are the logarithm of their mean probabilities."""

    def __init__(self, members: Iterable[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        return predict(self, None, images)


def member_states(state: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return the states of the members of an ensemble; of another model's state, none."""
    members: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        is_member, _, rest = name.partition("members.")
        if is_member or not rest:
            return []
        number, _, inner = rest.partition(".")
        members.setdefault(number, {})[inner] = tensor
    return list(members.values())


def predict(network: nn.Module, head: Tensor | None, images: Tensor) -> Tensor:
    """Compute the logits (n, classes) of images; a network with a `head` gives unit features."""
    if isinstance(network, Ensemble):
        shares = [predict(member, head, images).softmax(dim=1) for member in network.members]
        mean = torch.stack(shares).mean(dim=0)
        return mean.clamp_min(torch.finfo(mean.dtype).tiny).log()
    outputs = network(images)
    return outputs if head is None else outputs @ head.T


@dataclass(frozen=True)
class Classification:
    """`Objective` of images and classes; networks give logits, or features for a head."""

    head: Tensor | None  # as for `predict`
    device: torch.device

    def loss(self, network: nn.Module, label_smoothing: float) -> Loss:
        def cross_entropy(images: Tensor, labels: Tensor) -> Tensor:
            logits = predict(network, self.head, images)
            return functional.cross_entropy(logits, labels, label_smoothing=label_smoothing)

        return cross_entropy

    def outputs(self, network: nn.Module, batch: Batch) -> Outputs:
        images, labels = batch
        return predict(network, self.head, images.to(self.device)).cpu(), labels

    def scores(self, outputs: Outputs) -> Tensor:
        logits, labels = outputs
        return logits.argmax(dim=1) == labels

    def confidence(self, outputs: Outputs) -> Tensor:
        logits, labels = outputs
        return logits.softmax(dim=1).gather(1, labels[:, None])[:, 0]

    def classes(self, outputs: Outputs) -> int:
        return outputs[0].shape[1]


def accuracy(
    network: nn.Module, head: Tensor | None, batches: Iterable[Batch], device: torch.device
) -> Accuracy:
    """Count the images whose largest logit, the first among equals, is that of the true class."""
    objective = Classification(head, device)
    return total(objective.scores(all_outputs(network, objective, batches)))


def relearn_epochs(
    network: nn.Module,
    epochs: Iterable[Iterable[Batch]],
    forget: Iterable[Batch],
    target: int,
    learning_rate: float,
    device: torch.device,
) -> int | None:
    """Count the epochs of plain SGD on the forget set until `target` of it are right.

    A model that only hides what it knew is back at once; compare it with Retrain, which learns
    these images for the first time. The target is what the original model gets right. The network,
    on `device`, does not reach it as it is, and is trained on the batches of each of the `epochs`;
    the batches of `forget` are for counting. At least 1; None if the model needs more epochs.
    """
    parameters = list(network.parameters())
    for number, batches in enumerate(epochs, 1):
        network.train()
        for images, labels in batches:
            loss = functional.cross_entropy(network(images.to(device)), labels.to(device))
            gradients = torch.autograd.grad(loss, parameters)
            # The first optimizer of torch's that is built takes a second.
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.add_(gradient, alpha=-learning_rate)
        if accuracy(network, None, forget, device).correct >= target:
            return number
    return None
