"""Grids, what is tried between their values, and the search that needs few forward passes."""

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st
from point_examples import points

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Choice, Criterion
from negmerge.selection.points import Point
from negmerge.selection.search import CoefficientGrid, OptionGrid, explore, search
from negmerge.settings.selection import Coefficients

GRID = [0.0, 0.05, 0.1, 0.15, 0.2]
LOGARITHMIC = [0.0, 0.01, 0.0316, 0.1, 0.316, 1.0]

CONTROL = Criterion("control", 0.95)


class Table:
    """Right answers by vector, coefficient, role and batch, and a count of what was looked up."""

    def __init__(self, sizes, rows, grid=GRID):
        self.sizes, self.rows, self.grid, self.asked = sizes, rows, grid, []

    def count(self, vector, coefficient, role, batch):
        self.asked.append((vector, coefficient, role, batch))
        return self.rows[vector][coefficient][role][batch]

    def images(self):
        return sum(self.sizes[role][batch] for _, _, role, batch in self.asked)

    def chosen(self, keep, halvings):
        """Choose as full sweeps do: all coefficients of all vectors, each on all images."""
        criterion = Criterion("control", keep)
        points = []
        for vector, rows in self.rows.items():

            def measure(coefficient, vector=vector, rows=rows):
                accuracy = {
                    role: Accuracy(sum(rows[coefficient][role]), sum(self.sizes[role]))
                    for role in self.sizes
                }
                return Point(vector, coefficient, accuracy)

            grid = CoefficientGrid(self.grid)
            points += explore(measure(0.0), 0.0, grid, measure, [criterion], halvings)
        return criterion.choose(points), points


# Scores between 0 and 1 are multiples of this, so that sums of them are exact.
UNIT = 2**-30


@st.composite
def tables(draw, unit=1):
    sizes = {
        role: draw(st.lists(st.integers(1, 3), min_size=1, max_size=4), label=role)
        for role in ("forget", "control")
    }
    # Few different counts make ties and plateaus; nothing makes the accuracies fall steadily.
    rows = st.fixed_dictionaries(
        {
            role: st.one_of(
                st.just(result), st.tuples(*(answers(n, unit) for n in result)).map(list)
            )
            for role, result in sizes.items()
        }
    )
    base = draw(rows)
    vectors = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True))
    whole = draw(st.sampled_from([GRID, LOGARITHMIC]))
    grid = whole[: draw(st.integers(1, len(whole)))]
    several = st.lists(rows, min_size=1, max_size=9)
    return Table(sizes, {v: Rows(base, draw(several)) for v in vectors}, grid)


class Rows(dict):
    """Rows of the base and, at any coefficient, one of several."""

    def __init__(self, base, several):
        super().__init__({0.0: base})
        self.several = several

    def __missing__(self, coefficient):
        return self.several[round(1e6 * coefficient) % len(self.several)]


def answers(n, unit):
    """How right n answers are together."""
    steps = round(1 / unit)
    return st.integers(max(0, n - 2) * steps, n * steps).map(lambda count: count * unit)


@settings(max_examples=400)
@given(
    st.one_of(tables(), tables(UNIT)),
    st.sampled_from([0.0, 0.5, 0.9, 0.95, 1.0]),
    st.integers(0, 2),
)
def test_the_choice_is_that_of_full_sweeps_and_takes_no_more_passes(table, keep, halvings):
    chosen = search(list(table.rows), table.grid, table.sizes, table.count, keep, halvings)
    choice, points = table.chosen(keep, halvings)
    assert chosen.choices == [choice]
    assert len(table.asked) == len(set(table.asked))
    assert chosen.passes == table.images() <= chosen.passes_full
    assert chosen.passes_full == len(points) * sum(map(sum, table.sizes.values()))


def line(forget, control):
    """Rows of one batch for each coefficient of the grid."""
    pairs = zip(GRID, forget, control, strict=True)
    return {c: {"forget": [f], "control": [k]} for c, f, k in pairs}


SIZES = {"forget": [10], "control": [100]}


def run(rows, sizes=SIZES, keep=0.95):
    table = Table(sizes, rows)
    return search(list(rows), GRID, sizes, table.count, keep).choices[0], table


def test_equality_with_the_limit_passes():
    # 57 of 100 is 0.95 x 60 of 100 exactly; in floating point 0.95 * 0.6 is 0.57 too.
    choice, _ = run({"m": line([9, 8, 7, 6, 5], [60, 60, 60, 57, 56])})
    assert choice == Choice("m", 0.15, 60.0, 100 * (57 / 100), 60.0, tried=4)


def test_what_cannot_be_chosen_is_not_counted_to_its_end():
    sizes = {"forget": [5, 5], "control": [50, 50]}
    base = {"forget": [5, 5], "control": [30, 30]}
    good = {"forget": [1, 1], "control": [30, 30]}
    broken = {"forget": [0, 0], "control": [0, 30]}
    weak = {"forget": [5, 4], "control": [30, 30]}
    rows = dict(zip(GRID, [base, weak, weak, good, broken], strict=True))
    choice, table = run({"m": rows}, sizes)
    assert choice.coefficient == 0.15
    asked = [place for _, *place in table.asked if place[0] not in (0.0, 0.15)]
    assert [0.2, "control", 1] not in asked
    assert [place for place in asked if place[0] != 0.2] == [
        [0.1, "forget", 0],
        [0.05, "forget", 0],
    ]


def best_of(grid, halvings, best):
    """The coefficients beside a best one that stays the best."""
    own = list(grid)
    for halving in range(1, halvings + 1):
        own += CoefficientGrid(grid).around(best, own, halving)
    return own[len(grid) :]


def test_coefficients_lie_beside_one_half_way_to_its_neighbours_or_beyond_the_last():
    assert best_of([0.0, 0.1, 0.2, 0.3], 2, 0.2) == [0.15, 0.25, 0.175, 0.225]
    # Below the first of the grid, which may already be far too large, and above the last.
    assert best_of([0.0, 0.1, 0.2, 0.3], 2, 0.0) == [0.05, 0.025]
    assert best_of([0.0, 0.1, 0.2, 0.3], 2, 0.1) == [0.05, 0.15, 0.075, 0.125]
    assert best_of([0.0, 0.1, 0.2, 0.3], 2, 0.3) == [0.25, 0.5, 0.275, 0.4]
    assert CoefficientGrid([0.0, 0.1, 0.3]).around(0.3, [0.0, 0.1, 0.3], 1)[1] == 2.7
    assert best_of([0.0], 2, 0.0) == []
    # By factors, on a logarithmic grid.
    grid = Coefficients(**{"from": 0.01, "to": 1, "per_decade": 2}).values
    assert grid == LOGARITHMIC
    assert best_of(grid, 2, 0.1) == [0.0562, 0.178, 0.075, 0.133]
    assert best_of(grid, 2, 0.0) == [0.005, 0.0025]
    assert best_of(grid, 2, 0.01) == [0.005, 0.0178, 0.00707, 0.0133]
    assert best_of(grid, 1, 1.0) == [0.562, 10.0]


@given(st.floats(1e-4, 1), st.floats(1.01, 1e5), st.integers(1, 50))
def test_a_logarithmic_grid_has_its_ends_and_equal_factors_between(first, ratio, per_decade):
    to = first * ratio
    zero, *values = Coefficients(**{"from": first, "to": to, "per_decade": per_decade}).values
    assert (zero, values[0], values[-1]) == (0.0, first, to)
    assert abs(len(values) - 1 - per_decade * math.log10(ratio)) <= 1
    for low, high in itertools.pairwise(values[:-1]):
        assert math.isclose(high / low, 10 ** (1 / per_decade), rel_tol=0.01)


@given(st.lists(st.integers(0, 20), min_size=80, max_size=80), st.integers(1, 5))
def test_inside_a_grid_of_equal_steps_each_halving_takes_half_the_step(values, halvings):
    world = World(lambda c: values[round(c * 1000) % 80] / 20)
    grid = [0.0, 0.15, 0.3, 0.45, 0.6]
    points = {c: world.measure(c) for c in grid}
    order = CONTROL.order(points[0.0])
    best = coarse = min(points, key=lambda c: order(points[c]))
    for halving in range(1, halvings + 1):
        for sign in (-1, 1):
            beside = round(best + sign * 0.15 / 2**halving, 10)
            if beside > 0:
                points[beside] = world.measure(beside)
        best = min(points, key=lambda c: order(points[c]))
    if coarse < grid[-1]:
        assert {p.coefficient for p in world.explore(grid, halvings)} == set(points)


def test_options_lie_beside_one_at_half_the_factor():
    grid = OptionGrid({"rate": [0.01, 1.0], "epochs": [5, 10], "by": ["size"]})
    assert grid.start == [
        (("rate", rate), ("epochs", epochs), ("by", "size"))
        for rate in (0.01, 1.0)
        for epochs in (5, 10)
    ]
    beside = grid.around((("rate", 1.0), ("epochs", 5), ("by", "size")), (), 1)
    assert beside == [(("rate", 0.1), ("epochs", 5), ("by", "size"))]
    for values in ([1, 2], [0.1], [0.0, 1.0], [-1.0, 1.0], [True, False], [0.5, "a"]):
        assert OptionGrid({"x": values}).around((("x", values[0]),), (), 1) == []
    # The factor is the mean one, here 10; a value between has three digits.
    assert OptionGrid({"rate": [1.0, 2.0, 100.0]}).around((("rate", 2.0),), (), 1) == [
        (("rate", 6.32),)
    ]


class World:
    """Forget accuracy as a function of the coefficient; the rest is kept up to a limit."""

    def __init__(self, forget, limit=1.0):
        self.forget, self.limit, self.asked = forget, limit, []

    def measure(self, coefficient):
        self.asked.append(coefficient)
        kept = 100 if coefficient <= self.limit else 0
        accuracy = {
            "forget": Accuracy(round(1000 * self.forget(coefficient)), 1000),
            "control": Accuracy(kept, 100),
        }
        return Point("m", coefficient, accuracy)

    def explore(self, grid, halvings, criteria=(CONTROL,)):
        return explore(
            self.measure(0.0), 0.0, CoefficientGrid(grid), self.measure, criteria, halvings
        )


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=30), st.integers(0, 3), st.floats(0.0, 1.0)
)
def test_refining_never_makes_the_choice_worse(values, halvings, limit):
    world = World(lambda c: values[math.floor(c * 80) % len(values)] / 20, limit)
    grid = [0.0, 0.25, 0.5, 0.75, 1.0]
    coarse = CONTROL.choose(world.explore(grid, 0))
    fine = CONTROL.choose(world.explore(grid, halvings))
    assert fine.forget_accuracy <= coarse.forget_accuracy
    assert 0 <= fine.coefficient <= limit


GRIDS = st.sampled_from(
    [[0.0, 0.25, 0.5], [0.0, 0.5, 1.0], LOGARITHMIC, [0.0, 0.25, 0.5, 0.75, 1.0]]
)
VIEWS = st.lists(
    st.tuples(st.sampled_from(["control", "gap"]), GRIDS, st.integers(0, 2)), min_size=1
)


@given(VIEWS, st.lists(st.integers(0, 20), min_size=80, max_size=80))
def test_each_of_several_choices_is_what_it_would_choose_alone(views, values):
    """A choice has a criterion, a grid and halvings; all share the points of one sweep."""
    world = World(lambda c: values[round(c * 1000) % 80] / 20)
    reference = {"forget": 35.0, "control": 100.0}
    criteria = [
        Criterion(f"view{number}", 0.95, reference, by, grid, halvings)
        for number, (by, grid, halvings) in enumerate(views)
    ]
    together = sorted({value for _, grid, _ in views for value in grid})
    points = world.explore(together, 0, criteria)
    assert len(world.asked) == len(set(world.asked))
    for criterion, (by, grid, halvings) in zip(criteria, views, strict=True):
        alone = Criterion(by, 0.95, reference)
        expected = alone.choose(world.explore(grid, halvings, [alone]))
        assert criterion.choose(points) == expected


def test_trained_models_are_refined_around_the_best_of_them_even_if_the_base_is_better():
    def measure(setting):
        rate = dict(setting)["rate"]
        (point,) = points(f"rate{rate}", [1.0], forget=[90], retain=[int(80 - 10 * rate)])
        return Point(point.vector, 1.0, point.accuracy, options=dict(setting))

    (base,) = points("original", [0.0], forget=[90], retain=[100])
    retain = Criterion("retain", 0.95)
    grid = OptionGrid({"rate": [0.01, 0.1, 1.0]})
    explored = explore(base, None, grid, measure, [retain], 2)
    assert [point.vector for point in explored][4:] == ["rate0.0316", "rate0.0178"]
    assert retain.choose(explored).vector == "original"
