import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from point_examples import points

from negmerge.evaluation.outcomes import Accuracy
from negmerge.selection.choice import Criterion, Point
from negmerge.selection.search import CoefficientGrid, OptionGrid, explore, is_scale

CONTROL = Criterion("control", 0.95)


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
    # The factor is the mean one, here 10; a value between has three digits.
    assert OptionGrid({"rate": [1.0, 2.0, 100.0]}).around((("rate", 2.0),), 1) == [
        (("rate", 6.32),)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, 1.0], True),
        ([0.1, 1], True),
        ([1, 2], False),
        ([0.1], False),
        ([0.0, 1.0], False),
        ([-1.0, 1.0], False),
        ([True, False], False),
        ([0.5, "a"], False),
    ],
)
def test_some_options_have_values_between_theirs(values, expected):
    assert is_scale(values) is expected


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

    def explore(self, grid, halvings, rules=(CONTROL,)):
        return explore(self.measure(0.0), 0.0, CoefficientGrid(grid), self.measure, rules, halvings)


def test_the_choice_moves_towards_the_best_place():
    world = World(lambda c: abs(c - 0.37))
    found = world.explore([0.0, 0.2, 0.4, 0.6], 3)
    assert [point.coefficient for point in found] == [
        0.0,
        0.2,
        0.4,
        0.6,
        0.3,
        0.5,
        0.35,
        0.45,
        0.325,
        0.375,
    ]
    assert CONTROL.choose(found).coefficient == 0.375
    assert len(world.asked) == len(set(world.asked))


def test_a_vector_that_the_first_coefficient_wrecks_gets_smaller_ones():
    world = World(lambda c: 0.5 - c, limit=0.03)
    found = world.explore([0.0, 0.1, 0.2], 2)
    assert CONTROL.choose(found).coefficient == 0.025
    assert CONTROL.choose(world.explore([0.0, 0.1, 0.2], 0)).coefficient == 0.0


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=30),
    st.integers(0, 3),
    st.floats(0.0, 1.0),
)
def test_refining_never_makes_the_choice_worse(values, halvings, limit):
    world = World(lambda c: values[math.floor(c * 80) % len(values)] / 20, limit)
    grid = [0.0, 0.25, 0.5, 0.75, 1.0]
    coarse = CONTROL.choose(world.explore(grid, 0))
    fine = CONTROL.choose(world.explore(grid, halvings))
    assert fine.forget_accuracy <= coarse.forget_accuracy
    assert 0 <= fine.coefficient <= 1


def test_a_rule_is_not_led_by_the_refinements_of_another():
    def measure(coefficient):
        forget = {0.0: 90, 0.5: 40, 1.0: 50, 0.75: 20}.get(coefficient, 60)
        (point,) = points("m", [coefficient], (), forget=[forget], retain=[100])
        return point

    gap = Criterion("gap", 0.95, {"forget": 52.0, "retain": 100.0})
    retain = Criterion("retain", 0.95)
    arguments = (measure(0.0), 0.0, CoefficientGrid([0.0, 0.5, 1.0]), measure)
    both = explore(*arguments, [gap, retain], 1)
    assert {point.coefficient: point.rules for point in both} == {
        0.0: ("gap", "retain"),
        0.5: ("gap", "retain"),
        1.0: ("gap", "retain"),
        0.75: ("gap", "retain"),
        0.25: ("retain",),
    }
    for rule in (gap, retain):
        assert rule.choose(both) == rule.choose(explore(*arguments, [rule], 1))


def test_trained_models_are_refined_around_the_best_of_them_even_if_the_base_is_better():
    def measure(setting):
        rate = dict(setting)["rate"]
        (point,) = points(f"rate{rate}", [1.0], forget=[90], retain=[int(80 - 10 * rate)])
        return Point(point.vector, 1.0, point.accuracy, options=dict(setting))

    (base,) = points("original", [0.0], forget=[90], retain=[100])
    retain = Criterion("retain", 0.95)
    grid = OptionGrid({"rate": [0.01, 0.1, 1.0]})
    found = explore(base, None, grid, measure, [retain], 2)
    assert [point.vector for point in found][4:] == ["rate0.0316", "rate0.0178"]
    assert retain.choose(found).vector == "original"


def test_where_every_model_diverged_nothing_is_refined():
    (base,) = points("original", [0.0], forget=[90], retain=[100])
    found = explore(
        base,
        None,
        OptionGrid({"rate": [0.1, 1.0]}),
        lambda setting: Point(str(setting), 1.0, {}, options=dict(setting)),
        [Criterion("retain", 0.95)],
        3,
    )
    assert len(found) == 3
