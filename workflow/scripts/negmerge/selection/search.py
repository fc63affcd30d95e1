"""Trying a grid, and then some between its best and their neighbours, with few forward passes.

After the grid each criterion halves the distance to the neighbours of its choice a few times.
"""

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import FEWEST_COEFFICIENTS, Choice, Criterion, at_ends, qualifies
from negmerge.selection.points import Point
from negmerge.settings.checks import Value, to_three_digits

Options = tuple[tuple[str, Value], ...]


@dataclass(frozen=True)
class CoefficientGrid:
    """The coefficients of a vector; that of the base is 0."""

    values: Sequence[float]  # the grid, ascending from 0 in equal steps, or then by equal factors
    from_base = True  # the base is a place on the grid, so there are settings beside it

    @property
    def start(self) -> Sequence[float]:
        return self.values[1:]

    def of(self, criterion: Criterion) -> "CoefficientGrid":
        """Return the grid that a criterion chooses among."""
        return CoefficientGrid(criterion.coefficients) if criterion.coefficients else self

    def around(self, setting: float, tried: Iterable[float], _: int) -> list[float]:
        """Return the settings half-way from one to its neighbours among those that were tried.

        Beyond the largest comes one at twice the distance, or twice the factor, to the last.
        """
        below = max((value for value in tried if value < setting), default=None)
        above = min((value for value in tried if value > setting), default=None)
        beside = [] if below is None else [self._between(below, setting)]
        if above is not None:
            beside.append(self._between(setting, above))
        elif below is not None:
            is_linear = self._is_linear or not below
            further = 3 * setting - 2 * below if is_linear else setting * (setting / below) ** 2
            beside.append(self._rounded(further))
        return [value for value in beside if value not in (setting, below, above)]

    def _between(self, low: float, high: float) -> float:
        """Return the mean of two coefficients as the grid is made, and half of one next to 0."""
        is_linear = self._is_linear or not low
        return self._rounded((low + high) / 2 if is_linear else math.sqrt(low * high))

    def _rounded(self, value: float) -> float:
        return round(value, 10) if self._is_linear else to_three_digits(value)

    @cached_property
    def _is_linear(self) -> bool:
        """Whether all steps are equal; those of a logarithmic grid grow, from one to the next."""
        steps = [high - low for low, high in itertools.pairwise(self.values)]
        return not steps or max(steps) - min(steps) < 1e-9 * max(steps)


@dataclass(frozen=True)
class OptionGrid:
    """The options of a method that trains: all combinations; a step is the grid's mean factor."""

    options: Mapping[str, Sequence[Value]]  # the values by option; one where it has no grid
    from_base = False

    @property
    def start(self) -> list[Options]:
        return [
            tuple(zip(self.options, values, strict=True))
            for values in itertools.product(*self.options.values())
        ]

    def of(self, _: Criterion) -> "OptionGrid":
        return self

    def around(self, setting: Options, _: Iterable[Options], halving: int) -> list[Options]:
        """Return the settings inside the grid that lie a step from one, halved so many times."""
        settings = []
        for place, (name, value) in enumerate(setting):
            values = self.options[name]
            if not is_scale(values):
                continue
            factor = (max(values) / min(values)) ** (1 / (len(values) - 1) / 2**halving)
            for beside in (value / factor, value * factor):
                rounded = to_three_digits(beside)
                if min(values) <= rounded <= max(values):
                    settings.append((*setting[:place], (name, rounded), *setting[place + 1 :]))
        return settings


def is_scale(values: Sequence[Value]) -> bool:
    """Whether an option's values have others between them: numbers above 0, not all whole."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    whole = all(isinstance(number, int) for number in numbers)
    return len(set(numbers)) == len(values) > 1 and min(numbers) > 0 and not whole


def explore(
    base: Point,
    base_setting: Hashable,
    grid: CoefficientGrid | OptionGrid,
    measure: Callable[[Hashable], Point],
    criteria: Iterable[Criterion],
    halvings: int,
) -> list[Point]:
    """Measure a grid, and refine it for each criterion around what it alone would choose."""
    criteria = list(criteria)
    points: dict[Hashable, Point] = {base_setting: base}
    for setting in grid.start:
        points[setting] = measure(setting)
    allowed: dict[Hashable, list[str]] = {setting: [] for setting in points}
    for criterion in criteria:
        own_grid, times = grid.of(criterion), criterion.halvings
        own = [base_setting, *own_grid.start] if grid.from_base else list(own_grid.start)
        for setting in {base_setting: None} | dict.fromkeys(own):
            allowed[setting].append(criterion.name)
        order = criterion.order(base)
        for halving in range(1, (halvings if times is None else times) + 1):
            measured = [setting for setting in own if points[setting].accuracy]
            if not measured:
                break
            best = min(measured, key=lambda setting, order=order: order(points[setting]))
            for setting in own_grid.around(best, own, halving):
                if setting in own:
                    continue
                if setting not in points:
                    points[setting] = measure(setting)
                own.append(setting)
                allowed.setdefault(setting, []).append(criterion.name)
    return [replace(point, criteria=tuple(allowed[setting])) for setting, point in points.items()]


# Vector, coefficient, role and number of the batch -> right answers in that batch, or the sum of
# their scores, each 0..1.
Count = Callable[[str, float, str, int], int | float]

# The forget images come first where they alone are likely to rule a coefficient out: where the last
# counts come to this share of the best so far. Below 1, since they are those of a larger
# coefficient, at which fewer answers are right. It changes the number of passes only.
LIKELY = 0.8


@dataclass(frozen=True)
class Chosen:
    """The choice by each criterion, what was measured for it, and the forward passes it took."""

    choices: list[Choice]
    points: list[Point]
    passes: int
    passes_full: int  # those of full sweeps, which come to the same choice as a pruned search
    # The vectors and coefficients that these sweeps measure, beside the base.
    tried: frozenset[tuple[str, float]] = frozenset()

    def records(
        self, labels: Mapping[str, str], criteria: Sequence[Mapping], about: Mapping[str, object]
    ) -> list[dict]:
        about = {**about, "passes": self.passes, "passes_full": self.passes_full}
        named = zip(self.choices, criteria, strict=True)
        return [
            choice.record(labels, criterion["name"], {**about, **criterion["view"]})
            for choice, criterion in named
        ]


def search(
    vectors: Sequence[str],
    coefficients: Sequence[float],
    sizes: Mapping[str, Sequence[int]],
    count: Count,
    keep: float,
    halvings: int = 0,
) -> Chosen:
    """Choose a vector and its coefficient by the criterion of control or retain accuracy.

    The choice is that of full sweeps in every bit: a coefficient is dropped as soon as the items
    not yet counted cannot change that it is not chosen. `sizes` are those of the batches of
    `forget` and then of the role to keep. Without halvings the vectors share the bound on the
    forget accuracy; with them each is refined around its own choice.
    """
    return _Search(sizes, count, keep, CoefficientGrid(coefficients), halvings).run(vectors)


class _Search:
    """The state of a search: the last counts, the coefficients tried, and the passes used."""

    def __init__(
        self,
        sizes: Mapping[str, Sequence[int]],
        count: Count,
        keep: float,
        grid: CoefficientGrid,
        halvings: int,
    ):
        self.sizes, self.count, self.keep = sizes, count, keep
        self.grid, self.halvings = grid, halvings
        self.passes = 0
        _, self.control = sizes
        self.last = {role: list(sizes[role]) for role in sizes}
        self.n = {role: sum(sizes[role]) for role in sizes}
        self.tried: dict[str, list[float]] = {}

    def run(self, vectors: Sequence[str]) -> Chosen:
        base = best = _Candidate(self, min(vectors), 0.0)
        for role in self.sizes:
            base.finish(role)
        self.baseline = base.right[self.control] / self.n[self.control]
        self.limit = self.keep * self.baseline
        for vector in vectors:
            # With halvings, the other vectors' best would hide what this one is refined around.
            own_best = self._best_of(vector, base if self.halvings else best)
            best = min(best, own_best, key=_Candidate.rank)
        tried = frozenset((name, c) for name, own in self.tried.items() for c in own)
        passes_full = (len(tried) + len(vectors)) * sum(self.n.values())
        choice = self._choice(best)
        points = [candidate.measured() for candidate in dict.fromkeys((base, best))]
        return Chosen([choice], points, self.passes, passes_full, tried)

    def _best_of(self, vector: str, best: "_Candidate") -> "_Candidate":
        """Search the grid of a vector, from the largest coefficient, and then around its choice."""
        tried = self.tried[vector] = []
        best = self._better(vector, reversed(self.grid.start), best)
        for halving in range(1, self.halvings + 1):
            beside = self.grid.around(best.coefficient, [0.0, *tried], halving)
            best = self._better(vector, beside, best)
        return best

    def _better(
        self, vector: str, coefficients: Iterable[float], best: "_Candidate"
    ) -> "_Candidate":
        for coefficient in coefficients:
            self.tried[vector].append(coefficient)
            candidate = _Candidate(self, vector, coefficient)
            if self._is_better(candidate, best):
                best = candidate
        return best

    def _choice(self, best: "_Candidate") -> Choice:
        best.finish(self.control)
        shares = {role: best.right[role] / self.n[role] for role in self.sizes}
        # If every image is classified correctly whatever is subtracted, nothing qualifies.
        fits = qualifies(shares["forget"], shares[self.control], self.baseline, self.keep)
        tried = self.tried[best.vector] if fits and best.coefficient else []
        lower, upper = at_ends(best.coefficient, tried, FEWEST_COEFFICIENTS)
        return Choice(
            vector=best.vector,
            coefficient=best.coefficient,
            forget_accuracy=100 * shares["forget"],
            control_accuracy=100 * shares[self.control],
            control_baseline=100 * self.baseline,
            upper_end=upper,
            lower_end=lower,
            tried=sum(map(len, self.tried.values())),
        )

    def _is_better(self, candidate: "_Candidate", best: "_Candidate") -> bool:
        """Count until it is sure whether a candidate is better than the best so far, or not."""
        if sum(self.last["forget"]) >= LIKELY * best.right["forget"]:
            return candidate.forgets_more(best) and candidate.keeps_control()
        return candidate.keeps_control() and candidate.forgets_more(best)


class _Candidate:
    """A vector and a coefficient, of which some batches are counted."""

    def __init__(self, search: _Search, vector: str, coefficient: float):
        self.search, self.vector, self.coefficient = search, vector, coefficient
        self.right = dict.fromkeys(search.sizes, 0)
        self.unseen = dict(search.n)
        self._next = dict.fromkeys(search.sizes, 0)

    def finish(self, role: str) -> None:
        while self.unseen[role]:
            self._step(role)

    def forgets_more(self, best: "_Candidate") -> bool:
        """Whether this one is preferred to the best: what is counted already can only grow."""
        while self.rank() < best.rank() and self.unseen["forget"]:
            self._step("forget")
        return self.rank() < best.rank()

    def keeps_control(self) -> bool:
        """Whether the control accuracy reaches the limit."""
        control, limit = self.search.control, self.search.limit
        n = self.search.n[control]
        while not self.right[control] / n >= limit:
            if not (self.right[control] + self.unseen[control]) / n >= limit:
                return False
            self._step(control)
        return True

    def measured(self) -> Point:
        counts = {role: Accuracy(self.right[role], n) for role, n in self.search.n.items()}
        return Point(self.vector, self.coefficient, counts)

    def rank(self) -> tuple[float, float, str]:
        """Return what is smaller for the better of two that keep the control accuracy."""
        return self.right["forget"], self.coefficient, self.vector

    def _step(self, role: str) -> None:
        batch = self._next[role]
        size = self.search.sizes[role][batch]
        right = self.search.count(self.vector, self.coefficient, role, batch)
        self.search.last[role][batch] = right
        self.search.passes += size
        self.right[role] += right
        self.unseen[role] -= size
        self._next[role] += 1
