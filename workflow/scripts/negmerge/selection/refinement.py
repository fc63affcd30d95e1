"""Trying the values of a grid, and then some between the best of them and its neighbours.

Vectors differ in length, and methods in the rates that suit them, so one grid of fixed steps is
coarse for some and fine for others. After the grid each rule halves the distance to the neighbours
of its choice a few times, as often for every vector and method.
"""

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from negmerge.selection.choice import Rule
from negmerge.selection.points import Point

# The digits of an option's value between two of the grid; more would only make long names.
DIGITS = 3

Value = bool | int | float | str
Options = tuple[tuple[str, Value], ...]


class Grid(Protocol):
    """What is tried: settings, and those between one of them and its neighbours."""

    start: Sequence[Hashable]  # the settings of the grid without that of the base
    from_base: bool  # whether the base is a place on the grid, so that there are settings beside it

    def around(self, setting: Hashable, halving: int) -> list[Hashable]:
        """Return the settings at the distance of a step, halved so many times, inside the grid."""


@dataclass(frozen=True)
class CoefficientGrid:
    """The coefficients of a vector; that of the base is 0."""

    values: Sequence[float]  # the grid, ascending from 0 in equal steps
    from_base = True

    @property
    def start(self) -> Sequence[float]:
        """All but 0."""
        return self.values[1:]

    def around(self, setting: float, halving: int) -> list[float]:
        """See `Grid`; rounded to 10 places, so that coefficients print as they are meant."""
        if len(self.values) < 2:
            return []
        step = (self.values[-1] - self.values[0]) / (len(self.values) - 1) / 2**halving
        found = (round(setting + sign * step, 10) for sign in (-1, 1))
        return [value for value in found if 0 < value <= self.values[-1]]


@dataclass(frozen=True)
class OptionGrid:
    """The options of a method that trains: all combinations of some values.

    A step is a factor here, since rates and penalties span powers of ten: the mean factor between
    neighbours of the grid. Only options with at least two values that are positive numbers, not all
    whole, have settings between them.
    """

    # the values by option; of an option without a grid the one value that it has
    options: Mapping[str, Sequence[Value]]
    from_base = False

    @property
    def start(self) -> list[Options]:
        """All combinations, in the order of the values."""
        return [
            tuple(zip(self.options, values, strict=True))
            for values in itertools.product(*self.options.values())
        ]

    def around(self, setting: Options, halving: int) -> list[Options]:
        """See `Grid`; one option differs, the others stay."""
        found = []
        for place, (name, value) in enumerate(setting):
            values = self.options[name]
            if not is_scale(values):
                continue
            factor = (max(values) / min(values)) ** (1 / (len(values) - 1) / 2**halving)
            for beside in (value / factor, value * factor):
                rounded = float(f"{beside:.{DIGITS}g}")
                if min(values) <= rounded <= max(values):
                    found.append((*setting[:place], (name, rounded), *setting[place + 1 :]))
        return found


def is_scale(values: Sequence[Value]) -> bool:
    """Whether an option's values have others between them: numbers above 0, not all whole."""
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    whole = all(isinstance(number, int) for number in numbers)
    return len(set(numbers)) == len(values) > 1 and min(numbers) > 0 and not whole


def explore(
    base: Point,
    base_setting: Hashable,
    grid: Grid,
    measure: Callable[[Hashable], Point],
    rules: Iterable[Rule],
    halvings: int,
) -> list[Point]:
    """Measure a grid, and refine it for each rule around what that rule would choose.

    A rule chooses among the grid and its own refinements only, so that its choice does not depend
    on which other rules there are.
    """
    rules = list(rules)
    found: dict[Hashable, Point] = {base_setting: base}
    allowed = {base_setting: [rule.name for rule in rules]}
    for setting in grid.start:
        found[setting] = measure(setting)
        allowed[setting] = [rule.name for rule in rules]
    for rule in rules:
        own = [base_setting, *grid.start] if grid.from_base else list(grid.start)
        order = rule.order(base)
        for halving in range(1, halvings + 1):
            measured = [setting for setting in own if found[setting].accuracy]
            if not measured:
                break
            best = min(measured, key=lambda setting, order=order: order(found[setting]))
            for setting in grid.around(best, halving):
                if setting in own:
                    continue
                if setting not in found:
                    found[setting] = measure(setting)
                own.append(setting)
                allowed.setdefault(setting, []).append(rule.name)
    return [replace(point, rules=tuple(allowed[setting])) for setting, point in found.items()]
