"""What validation images show of a base that is moved along vectors, or of other models."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.data.loading import Batch
from negmerge.evaluation.accuracy import accuracy, all_logits, count_right, predict
from negmerge.selection.points import Point
from negmerge.selection.search import Count
from negmerge.states import State
from negmerge.vectors import apply

# A vector's name -> the vector, and how errors call it.
Read = Callable[[str], tuple[State, str | Path]]


class _Set:
    """The images of one role in batches, the most informative about a coefficient first.

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
        """Return logits and labels in the order in which the images were read."""
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

    def measure(self, name: str, coefficient: float, network: nn.Module | None = None) -> Point:
        """Measure the network as it was moved, or another one.

        Args:
            name: of the vector, or of the other network.
            coefficient: how far it was moved; 1 for another network.
            network: the other network.
        """
        network = network or self._network
        found = {role: images.logits(network) for role, images in self._sets.items()}
        counts = {role: count_right(logits, labels) for role, (logits, labels) in found.items()}
        return Point(name, coefficient, counts, self._further(found))

    def counting(self, read: Read) -> Count:
        """Return a function that counts right answers of base - coefficient * vector in a batch.

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
