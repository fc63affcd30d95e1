"""What validation images say of a base that is moved along vectors, or of other models."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.data.loading import Batch, evaluation_batches
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import accuracy, all_logits, count_right, predict
from negmerge.evaluation.counts import Accuracy
from negmerge.scenarios.scenario import Scenario
from negmerge.selection.search import Count
from negmerge.states import State, read_state
from negmerge.vectors import apply

# A vector's name -> the vector, and how errors call it.
Read = Callable[[str], tuple[State, str | Path]]


@dataclass(frozen=True)
class Measured:
    """What one model reaches.

    Attributes:
        accuracy: by role.
        further: other measures of the scenario in percent, by name.
    """

    accuracy: dict[str, Accuracy]
    further: dict[str, float]


class _Set:
    """The images of one role in batches, those that will tell most about a coefficient first.

    The images that the base gets right by the widest margin say first that a coefficient does not
    forget, and those at the other end that it does not keep the accuracy of the other role. So
    their order is that of the base's confidence, falling for `forget` and rising for others.
    """

    def __init__(
        self,
        role: str,
        base: nn.Module,
        head: Tensor | None,
        batches: Iterable[Batch],
        device: torch.device,
    ):
        self.head, self.device = head, device
        self.images, labels, confidences, right = [], [], [], []
        for images, truth in batches:
            with torch.no_grad():
                logits = predict(base, head, images.to(device)).cpu()
            confidences.append(logits.softmax(dim=1).gather(1, truth[:, None])[:, 0])
            right.append(logits.argmax(dim=1) == truth)
            labels.append(truth)
            # One by one, without a copy: batches in the new order are put together when needed.
            self.images += images.unbind()
        self.labels, self.right_of_base = torch.cat(labels), torch.cat(right)
        order = torch.cat(confidences).argsort(stable=True, descending=role == "forget")
        self.order = order.split(max(map(len, labels)))

    def batch(self, number: int) -> Batch:
        places = self.order[number]
        return torch.stack([self.images[place] for place in places]), self.labels[places]

    def count(self, network: nn.Module, number: int) -> int:
        return accuracy(network, self.head, [self.batch(number)], self.device).correct

    def logits(self, network: nn.Module) -> tuple[Tensor, Tensor]:
        """Give logits and labels in the order in which the images were read."""
        batches = (self.batch(number) for number in range(len(self.order)))
        logits, labels = all_logits(network, self.head, batches, self.device)
        back = torch.cat(self.order).argsort()
        return logits[back], labels[back]


class Validation:
    """A base, and the images on which it is measured after a vector was subtracted.

    Args:
        network: a network with the weights of the base.
        base: these weights.
        sets: by role: the head, if any, and batches of images and labels. The images stay in
            memory, since every coefficient passes over them.
        device: where to compute.
        settle: what a moved network needs before it is used, if anything.
        further: from logits and labels by role to measures beside the accuracy.

    Attributes:
        sizes: images in each batch by role.
    """

    def __init__(
        self,
        network: nn.Module,
        base: State,
        sets: Mapping[str, tuple[Tensor | None, Iterable[Batch]]],
        device: torch.device,
        settle: Callable[[nn.Module], None] | None = None,
        further: Callable[[Mapping], dict[str, float]] = lambda found: {},
    ):
        self._network, self._base = network.eval(), base
        self._settle, self._further = settle, further
        self._sets = {role: _Set(role, network, *pair, device) for role, pair in sets.items()}
        self.sizes = {role: [len(b) for b in found.order] for role, found in self._sets.items()}

    def move(self, vector: State, coefficient: float, where: str | Path) -> None:
        """Set the network to base - coefficient * vector; errors call the vector `where`."""
        state = apply(self._base, vector, -coefficient, where) if coefficient else self._base
        self._network.load_state_dict(state)
        if coefficient and self._settle is not None:
            self._settle(self._network)

    def measure(self, network: nn.Module | None = None) -> Measured:
        """Measure the network as it was moved, or another one."""
        network = network or self._network
        found = {role: images.logits(network) for role, images in self._sets.items()}
        counts = {role: count_right(logits, labels) for role, (logits, labels) in found.items()}
        return Measured(counts, self._further(found))

    def counting(self, read: Read) -> Count:
        """Give a function that counts the right answers of base - coefficient * vector in a batch.

        It keeps one vector in memory, the last. At coefficient 0, where the model is the base, it
        gives what was counted when the images were read.
        """
        name = moved = None
        vector, where = {}, ""

        def count(wanted: str, coefficient: float, role: str, batch: int) -> int:
            nonlocal name, moved, vector, where
            if coefficient == 0:
                found = self._sets[role]
                return int(found.right_of_base[found.order[batch]].sum())
            if wanted != name:
                name, moved = wanted, None
                vector, where = read(wanted)
            if coefficient != moved:
                self.move(vector, coefficient, where)
                moved = coefficient
            return self._sets[role].count(self._network, batch)

        return count


def load_validation(
    scenario: Scenario,
    base: str,
    batch_size: int,
    device: torch.device,
    *,
    most: int | None,
    re_estimates: bool,
    loaders: int = 0,
    roles: Iterable[str] | None = None,
    seed: int = 0,
) -> Validation:
    """Read the base and the images that choose a coefficient.

    Args:
        scenario: the job's.
        base: the file of the weights before forgetting.
        batch_size: images per forward pass.
        device: where to compute.
        most: how many images of a role are read at most; None: all.
        loaders: processes that load the images.
        re_estimates: whether a moved network gets batch statistics of its own.
        roles: of the images; by default what to forget and what to keep.
        seed: of what the scenario's measures draw.

    Raises:
        UserError: a file that is missing, damaged or of another model.
    """
    state = read_state(base)
    network = scenario.network(state, base)
    sets = {}
    for name in roles or ("forget", scenario.kept):
        role = scenario.role(name, "select", most)
        if not len(role.items):
            raise UserError(f"too few {name} images to choose a coefficient with")
        batches = evaluation_batches(
            role.items, scenario.evaluation_transform(), batch_size, loaders
        )
        sets[name] = role.head, batches
    return Validation(
        network,
        state,
        sets,
        device,
        (lambda moved: scenario.settle(moved, batch_size, most)) if re_estimates else None,
        lambda found: scenario.measures(found, seed),
    )
