"""Measuring a base on validation items while it is moved along vectors, and choosing by that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.checkpoints.divergence import split_diverged
from negmerge.checkpoints.states import State, read_state, read_vector
from negmerge.data.loading import EvaluationBatches
from negmerge.evaluation.accuracy import Batch, Objective, Outputs, all_outputs, total
from negmerge.evaluation.agreement import features_seen, neighbour_agreement
from negmerge.selection.choice import Choice, Criterion, nothing_left, option_ends
from negmerge.selection.greedy import greedy, mean_of_best
from negmerge.selection.points import Point
from negmerge.selection.search import Chosen, CoefficientGrid, Count, explore, search
from negmerge.settings.checks import Value
from negmerge.vectors import apply, widen

# What the items of a role may take of a GPU's free memory; passes need most of it.
SHARE_OF_GPU = 0.25


class _Set:
    """The items of one role in batches, as stored; first those that tell most of a coefficient."""

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
                outputs = objective.outputs(base, (self.prepared(kept), truth))
            confidences.append(objective.confidence(outputs))
            scores.append(objective.scores(outputs))
            targets.append(truth)
        self.targets, self.scores_of_base = torch.cat(targets), torch.cat(scores)
        # By the base's confidence, falling for `forget` and rising for others.
        order = torch.cat(confidences).argsort(stable=True, descending=role == "forget")
        self.order = order.split(max(map(len, targets)))

    def batch(self, number: int) -> Batch:
        places = self.order[number]
        return self.prepared(self.items[places.to(self.items.device)]), self.targets[places]

    def count(self, network: nn.Module, number: int) -> int | float:
        outputs = all_outputs(network, self.objective, [self.batch(number)])
        return total(self.objective.scores(outputs)).correct

    def outputs(self, network: nn.Module) -> Outputs:
        """Return a network's outputs in the order in which the items were read."""
        batches = (self.batch(number) for number in range(len(self.order)))
        outputs = all_outputs(network, self.objective, batches)
        back = torch.cat(self.order).argsort()
        return tuple(part[back] for part in outputs)


def _room(count: int, items: Tensor, device: torch.device) -> Tensor:
    """Make room for so many items like these, on a GPU if they leave most of its memory free."""
    size = count * items[0].numel() * items.element_size()
    if device.type == "cuda" and size > SHARE_OF_GPU * torch.cuda.mem_get_info(device)[0]:
        device = torch.device("cpu")
    return torch.empty(count, *items.shape[1:], dtype=items.dtype, device=device)


class Validation:
    """A base, and the items on which it is measured after a vector was subtracted."""

    def __init__(
        self,
        network: nn.Module,
        base: State,
        sets: Mapping[str, tuple[Objective, EvaluationBatches]],
        reset_batchnorm: Callable[[nn.Module], None] | None = None,
        further: Callable[[Mapping], dict[str, float]] = lambda outputs: {},
        halves: bool = False,
        unlabelled: str | None = None,
    ):
        self._network = network.eval()
        self._device = next(network.parameters()).device
        self._base = self.placed(base)
        self._reset_batchnorm, self._further, self._halves = reset_batchnorm, further, halves
        self._unlabelled = unlabelled  # the role whose items choose without their labels
        self._sets = {role: _Set(role, network, *pair) for role, pair in sets.items()}
        self.sizes = {role: [len(b) for b in items.order] for role, items in self._sets.items()}

    def placed(self, state: State) -> State:
        """Return a vector where the network is, so that its coefficients take no copy of it."""
        return {name: tensor.to(self._device) for name, tensor in state.items()}

    def move(self, vector: State, coefficient: float, where: str | Path) -> None:
        """Set the network to base - coefficient * vector."""
        state = apply(self._base, vector, -coefficient, where) if coefficient else self._base
        self._network.load_state_dict(state)
        if coefficient and self._reset_batchnorm is not None:
            self._reset_batchnorm(self._network)

    def measure(self, name: str, coefficient: float, network: nn.Module | None = None) -> Point:
        """Measure the network as it was moved, or another one."""
        outputs, counts, half, agreement = {}, {}, {}, None
        for role, items in self._sets.items():
            if role != self._unlabelled:
                outputs[role] = items.outputs(network or self._network)
                continue
            with features_seen(network or self._network) as features:
                outputs[role] = items.outputs(network or self._network)
            # The features come in the order of the batches.
            logits = outputs[role][0][torch.cat(items.order)]
            agreement = neighbour_agreement(torch.cat(features), logits)
        for role, items in self._sets.items():
            # What `counting` gives for the base, whatever the batches do to the last bits.
            of_base = network is None and coefficient == 0
            scores = items.scores_of_base if of_base else items.objective.scores(outputs[role])
            counts[role] = total(scores)
            if self._halves:
                half[role] = 100 * total(scores[::2]).share
        if self._halves:
            half |= self._further(
                {role: tuple(part[::2] for part in parts) for role, parts in outputs.items()}
            )
        further = self._further(outputs)
        return Point(name, coefficient, counts, further, half=half, agreement=agreement)

    def counting(self, read: Callable[[str], tuple[State, str | Path]]) -> Count:
        """Return a function that counts right answers of base - coefficient * vector in a batch.

        `read` gives the vector of a name, and how errors call it.
        """
        name = moved = None
        vector, where = {}, ""

        def count(vector_name: str, coefficient: float, role: str, batch: int) -> int | float:
            nonlocal name, moved, vector, where
            if coefficient == 0:
                items = self._sets[role]
                return total(items.scores_of_base[items.order[batch]]).correct
            if vector_name != name:
                state, where = read(vector_name)
                name, moved, vector = vector_name, None, self.placed(state)
            if coefficient != moved:
                self.move(vector, coefficient, where)
                moved = coefficient
            return self._sets[role].count(self._network, batch)

        return count


def sweep(
    validation: Validation,
    path: str | Path,
    coefficients: Sequence[float],
    criteria: Sequence[Criterion],
    halvings: int,
) -> list[Point]:
    """Measure base - coefficient * vector on a grid, and near what each criterion would choose."""
    name, state = Path(path).stem, read_vector(path)
    vector = validation.placed(state)

    def measure(coefficient: float) -> Point:
        if coefficient and not state:
            return Point(name, coefficient, {})
        validation.move(vector, coefficient, path)
        point = validation.measure(name, coefficient)
        print(point)
        return point

    points = explore(measure(0.0), 0.0, CoefficientGrid(coefficients), measure, criteria, halvings)
    return sorted(points, key=lambda point: point.coefficient)


def choose(points: list[Point], criteria: Sequence[Criterion]) -> Chosen:
    """Choose by each criterion among points that were measured."""
    passes = sum(accuracy.n for point in points for accuracy in point.accuracy.values())
    return Chosen([criterion.choose(points) for criterion in criteria], points, passes, passes)


def choose_with_pruning(
    validation: Validation,
    paths: Sequence[str | Path],
    coefficients: Sequence[float],
    criteria: Sequence[Criterion],
    halvings: int,
    options: Mapping[str, Mapping[str, Value]],
) -> Chosen:
    """Choose as full sweeps would, see `search`; criteria with other grids share the counts."""
    whole, diverged = split_diverged(paths)
    vectors: Mapping[str, str | Path] = {Path(path).stem: path for path in whole}
    if not vectors:
        base = validation.measure(diverged[0], 0.0)
        choice = nothing_left(base, diverged, 0)
        points = [replace(base, criteria=tuple(criterion.name for criterion in criteria))]
        return replace(choose(points, []), choices=[choice] * len(criteria))
    counting = validation.counting(lambda name: (read_vector(vectors[name]), vectors[name]))
    passes, tried = 0, frozenset()

    @cache
    def count(name: str, coefficient: float, role: str, batch: int) -> int | float:
        nonlocal passes
        passes += validation.sizes[role][batch]
        return counting(name, coefficient, role, batch)

    @cache
    def searched(grid: tuple[float, ...], keep: float, halvings: int) -> Chosen:
        return search(list(vectors), grid, validation.sizes, count, keep, halvings)

    choices: list[Choice] = []
    measured: dict[tuple[str, float], Point] = {}
    for criterion in criteria:
        times = halvings if criterion.halvings is None else criterion.halvings
        grid = tuple(criterion.coefficients or coefficients)
        chosen = searched(grid, criterion.keep, times)
        (choice,), tried = chosen.choices, tried | chosen.tried
        lower, upper = option_ends(choice.vector, options) if choice.coefficient else (False, False)
        ends = {"lower_end": choice.lower_end or lower, "upper_end": choice.upper_end or upper}
        choices.append(replace(choice, **ends, diverged=diverged))
        print(f"chosen by {criterion.name}: {choices[-1]}")
        for point in chosen.points:
            place = point.vector, point.coefficient
            known = measured.get(place, replace(point, options=options.get(point.vector, {})))
            measured[place] = replace(known, criteria=(*known.criteria, criterion.name))
    passes_full = (len(tried) + len(vectors)) * sum(map(sum, validation.sizes.values()))
    return Chosen(choices, list(measured.values()), passes, passes_full, tried)


class RunningMean:
    """The mean of the first vectors of a growing list, from the running sum of all but the last."""

    def __init__(self, paths: Mapping[str, str | Path]):
        self._paths = paths
        self._total: State = {}
        self._summed: list[str] = []

    def __call__(self, names: Sequence[str]) -> State:
        """Average vectors, in the order of their names in the list."""
        if list(names[: len(self._summed)]) != self._summed:
            self._total, self._summed = {}, []
        for name in names[len(self._summed) : -1]:
            self._total = self._plus(name)
            self._summed.append(name)
        whole = len(names) == len(self._summed)
        total = self._total if whole else self._plus(names[-1])
        return {name: tensor / len(names) for name, tensor in total.items()}

    def _plus(self, name: str) -> State:
        vector = read_state(self._paths[name])
        if not self._total:
            return {key: widen(tensor) for key, tensor in vector.items()}
        return {key: total + vector[key] for key, total in self._total.items()}


def merge_measured(
    method: str,
    paths: Mapping[str, str | Path],
    validation: Validation,
    coefficients: Sequence[float],
    keep: float,
    halvings: int = 0,
    **options: bool,
) -> tuple[State, dict]:
    """Merge the files of a pool by `greedy` or `mean-best`; the report names what was merged."""
    passes = 0

    def measure(
        name: str, vector: State, where: str | Path, coefficient: float | None = None
    ) -> Choice:
        nonlocal passes
        count = validation.counting(lambda _: (vector, where))
        grid, again = coefficients, halvings
        if coefficient is not None:
            grid, again = sorted({0.0, coefficient}), 0
        chosen = search([name], grid, validation.sizes, count, keep, again)
        passes += chosen.passes
        return chosen.choices[0]

    mean = RunningMean(paths)

    def trial(names: Sequence[str], coefficient: float | None = None) -> Choice:
        choice = measure(method, mean(names), paths[names[-1]], coefficient)
        print(f"{' + '.join(names)}: {choice}")
        return choice

    own = {name: measure(name, read_state(path), path) for name, path in paths.items()}
    if method == "mean-best":
        # The sum of these means runs in the order of the names, as that of all merges.
        tried = mean_of_best(own, trial)
        accepted = list(next(iter(tried)))
        trials = [{"names": names, "choice": asdict(choice)} for names, choice in tried.items()]
    else:
        steps = greedy(paths, own, trial, **options)
        accepted = [step.name for step in steps if step.accepted]
        trials = [asdict(step) for step in steps]
    return mean(accepted), {"accepted": accepted, "trials": trials, "images": passes}
