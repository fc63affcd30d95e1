"""Grids, what is tried between their values, and the search that needs few forward passes."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
from point_examples import points

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Choice, Criterion, Point
from negmerge.selection.search import CoefficientGrid, OptionGrid, explore, search

GRID = [0.0, 0.05, 0.1, 0.15, 0.2]


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
    grid = GRID[: draw(st.integers(1, len(GRID)))]
    beside = [round(c / 80, 10) for c in range(1, int(80 * grid[-1]) + 1)]
    table = {v: {0.0: base} | {c: draw(rows) for c in beside} for v in vectors}
    return Table(sizes, table, grid)


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


def test_coefficients_lie_beside_one_at_half_steps_inside_the_grid():
    grid = CoefficientGrid([0.0, 0.1, 0.2, 0.3])
    assert list(grid.start) == [0.1, 0.2, 0.3]
    assert grid.around(0.2, 1) == [0.15, 0.25]
    assert grid.around(0.2, 2) == [0.175, 0.225]
    assert grid.around(0.3, 1) == [0.25]
    # Beside the base: smaller than the first of the grid, which may already be far too large.
    assert grid.around(0.0, 1) == [0.05]
    assert CoefficientGrid([0.0]).around(0.0, 1) == []


def test_options_lie_beside_one_at_half_the_factor():
    grid = OptionGrid({"rate": [0.01, 1.0], "epochs": [5, 10], "by": ["size"]})
    assert grid.start == [
        (("rate", rate), ("epochs", epochs), ("by", "size"))
        for rate in (0.01, 1.0)
        for epochs in (5, 10)
    ]
    beside = grid.around((("rate", 1.0), ("epochs", 5), ("by", "size")), 1)
    assert beside == [(("rate", 0.1), ("epochs", 5), ("by", "size"))]
    for values in ([1, 2], [0.1], [0.0, 1.0], [-1.0, 1.0], [True, False], [0.5, "a"]):
        assert OptionGrid({"x": values}).around((("x", values[0]),), 1) == []
    # The factor is the mean one, here 10; a value between has three digits.
    assert OptionGrid({"rate": [1.0, 2.0, 100.0]}).around((("rate", 2.0),), 1) == [
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
    assert 0 <= fine.coefficient <= 1


def test_a_criterion_is_not_led_by_the_refinements_of_another():
    def measure(coefficient):
        forget = {0.0: 90, 0.5: 40, 1.0: 50, 0.75: 20}.get(coefficient, 60)
        (point,) = points("m", [coefficient], (), forget=[forget], retain=[100])
        return point

    gap = Criterion("gap", 0.95, {"forget": 52.0, "retain": 100.0})
    retain = Criterion("retain", 0.95)
    arguments = (measure(0.0), 0.0, CoefficientGrid([0.0, 0.5, 1.0]), measure)
    both = explore(*arguments, [gap, retain], 1)
    assert {point.coefficient: point.criteria for point in both} == {
        0.0: ("gap", "retain"),
        0.5: ("gap", "retain"),
        1.0: ("gap", "retain"),
        0.75: ("gap", "retain"),
        0.25: ("retain",),
    }
    for criterion in (gap, retain):
        assert criterion.choose(both) == criterion.choose(explore(*arguments, [criterion], 1))


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
