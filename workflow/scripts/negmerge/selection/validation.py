"""What validation items show of a base that is moved along vectors, or of other models."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.checkpoints.states import State
from negmerge.data.loading import EvaluationBatches
from negmerge.evaluation.accuracy import Batch, Objective, Outputs, all_outputs, total
from negmerge.selection.points import Point
from negmerge.selection.search import Count
from negmerge.vectors import apply

# A vector's name -> the vector, and how errors call it.
Read = Callable[[str], tuple[State, str | Path]]
# What the items of a role may take of a GPU's free memory; passes need most of it.
SHARE_OF_GPU = 0.25


class _Set:
    """The items of one role in batches, the most informative about a coefficient first.

    The items that the base gets right by the widest margin say first that a coefficient does not
    forget, and those at the other end that it does not keep the accuracy of the other role. So
    their order is that of the base's confidence, falling for `forget` and rising for others.

    They are kept as they are stored, images as uint8, and on the GPU where they fit.
    """

    def __init__(
        self, role: str, base: nn.Module, objective: Objective, batches: EvaluationBatches
    ):
        self.objective, self.prepared = objective, batches.prepared
        targets, confidences, scores = [], [], []
        for stored, truth in batches.stored:
            if not targets:
                self.items = _room(batches.items, stored, batches.device)
            start = sum(map(len, targets))
            kept = self.items[start : start + len(stored)].copy_(stored)
            with torch.no_grad():
                found = objective.outputs(base, (self.prepared(kept), truth))
            confidences.append(objective.confidence(found))
            scores.append(objective.scores(found))
            targets.append(truth)
        self.targets, self.scores_of_base = torch.cat(targets), torch.cat(scores)
        order = torch.cat(confidences).argsort(stable=True, descending=role == "forget")
        self.order = order.split(max(map(len, targets)))

    def batch(self, number: int) -> Batch:
        places = self.order[number]
        return self.prepared(self.items[places.to(self.items.device)]), self.targets[places]

    def count(self, network: nn.Module, number: int) -> int | float:
        found = all_outputs(network, self.objective, [self.batch(number)])
        return total(self.objective.scores(found)).correct

    def count_of_base(self, number: int) -> int | float:
        return total(self.scores_of_base[self.order[number]]).correct

    def outputs(self, network: nn.Module) -> Outputs:
        """Return a network's outputs in the order in which the items were read."""
        batches = (self.batch(number) for number in range(len(self.order)))
        found = all_outputs(network, self.objective, batches)
        back = torch.cat(self.order).argsort()
        return tuple(part[back] for part in found)


def _room(count: int, some: Tensor, device: torch.device) -> Tensor:
    """Make room for so many items like some, on a GPU if they leave most of its memory free."""
    size = count * some[0].numel() * some.element_size()
    if device.type == "cuda" and size > SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0]:
        device = torch.device("cpu")
    return torch.empty(count, *some.shape[1:], dtype=some.dtype, device=device)


class Validation:
    """A base, and the items on which it is measured after a vector was subtracted."""

    def __init__(
        self,
        network: nn.Module,
        base: State,
        sets: Mapping[str, tuple[Objective, EvaluationBatches]],
        settle: Callable[[nn.Module], None] | None = None,
        further: Callable[[Mapping], dict[str, float]] = lambda found: {},
    ):
        self._network = network.eval()
        self._device = next(network.parameters()).device
        self._base = self.placed(base)
        self._settle, self._further = settle, further
        self._sets = {role: _Set(role, network, *pair) for role, pair in sets.items()}
        self.sizes = {role: [len(b) for b in found.order] for role, found in self._sets.items()}

    def placed(self, state: State) -> State:
        """Return a vector where the network is, so that its coefficients take no copy of it."""
        return {name: tensor.to(self._device) for name, tensor in state.items()}

    def move(self, vector: State, coefficient: float, where: str | Path) -> None:
        """Set the network to base - coefficient * vector."""
        state = apply(self._base, vector, -coefficient, where) if coefficient else self._base
        self._network.load_state_dict(state)
        if coefficient and self._settle is not None:
            self._settle(self._network)

    def measure(self, name: str, coefficient: float, network: nn.Module | None = None) -> Point:
        """Measure the network as it was moved, or another one."""
        found = {
            role: items.outputs(network or self._network) for role, items in self._sets.items()
        }
        counts = {}
        for role, items in self._sets.items():
            # What `counting` gives for the base, whatever the batches do to the last bits.
            of_base = network is None and coefficient == 0
            scores = items.scores_of_base if of_base else items.objective.scores(found[role])
            counts[role] = total(scores)
        return Point(name, coefficient, counts, self._further(found))

    def counting(self, read: Read) -> Count:
        """Return a function that counts right answers of base - coefficient * vector in a batch.

        It keeps one vector, the last. At coefficient 0, where the model is the base, it
        gives what was counted when the items were read.
        """
        name = moved = None
        vector, where = {}, ""

        def count(wanted: str, coefficient: float, role: str, batch: int) -> int | float:
            nonlocal name, moved, vector, where
            if coefficient == 0:
                return self._sets[role].count_of_base(batch)
            if wanted != name:
                name, moved = wanted, None
                found, where = read(wanted)
                vector = self.placed(found)
            if coefficient != moved:
                self.move(vector, coefficient, where)
                moved = coefficient
            return self._sets[role].count(self._network, batch)

        return count
