import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.selection import select_coefficient
from negmerge.standalone.coefficients import Measurement, choose, measurement

SHARES = st.integers(0, 12).map(lambda twelfths: twelfths / 12)


def measuring(forget, control):
    """A measure of the scores in two lists, a list of what was measured, and the grid."""
    coefficients = [place / 20 for place in range(len(forget))]
    table = dict(zip(coefficients, zip(forget, control, strict=True), strict=True))
    measured = []

    def measure(coefficient):
        measured.append(coefficient)
        return Measurement(coefficient, *table[coefficient])

    return measure, measured, coefficients


@st.composite
def curves(draw, falling=False):
    """Forget and control scores along a grid, in twelfths, so that many tie."""
    count = draw(st.integers(2, 40))
    scores = [draw(st.lists(SHARES, min_size=count, max_size=count)) for _ in range(2)]
    if falling:
        scores = [sorted(curve, reverse=True) for curve in scores]
    scores[1][0] = scores[1][0] or 1.0
    return scores


@given(curves(), SHARES)
def test_the_full_search_is_the_papers_rule(curve, keep):
    measure, measured, coefficients = measuring(*curve)
    choice = choose(coefficients, measure, keep)
    expected = select_coefficient(coefficients, *curve, curve[1][0], keep)
    # Where the rule chooses none, all that keep control remember everything: the base stays.
    assert choice.coefficient == (0.0 if expected is None else expected)
    assert measured == coefficients


@given(curves(falling=True), SHARES)
def test_few_measurements_choose_the_same_where_the_scores_fall(curve, keep):
    measure, measured, coefficients = measuring(*curve)
    few = choose(coefficients, measure, keep, search="fewer")
    assert few.chosen == choose(coefficients, measuring(*curve)[0], keep).chosen
    assert len(set(measured)) == len(measured)
    assert measured[0] == 0
    last = max(place for place, kept in enumerate(curve[1]) if kept >= keep * curve[1][0])
    tied = last > 0 and curve[0][last - 1] == curve[0][last]
    bound = math.ceil(math.log2(len(coefficients)))
    assert len(measured) <= (2 if tied else 1) * bound + 2 + tied
    assert few.forget_falls
    assert few.control_falls
    assert not [note for note in few.notes() if "rises" in note]


def test_a_score_that_rises_and_the_end_of_the_grid_are_told():
    forget, control = [0.9, 0.5, 0.6, 0.3, 0.2], [0.8, 0.8, 0.8, 0.7, 0.1]
    measure, _, coefficients = measuring(forget, control)
    few = choose(coefficients, measure, 0.95, search="fewer")
    assert (few.coefficient, few.forget_falls, few.control_falls) == (0.05, False, True)
    assert not few.upper_end
    assert "0.5 at 0.05 to 0.6 at 0.1" in few.notes()[0]
    full = choose(coefficients, measure, 0.95)
    assert (full.forget_falls, full.notes()) == (False, [])
    upper = choose([0.05, 0.0, 0.05], measure, 0.5)
    assert (upper.upper_end, upper.grid) == (True, (0.0, 0.05))
    assert upper.notes()[0].startswith("0.05 is the largest coefficient")


def test_units_do_not_matter():
    # In percent a forget score of 1 is nothing special.
    for forget in ([60.0, 1.0, 1.0, 0.0], [-1.0, -7.5, -7.5, -9.0]):
        measure, _, coefficients = measuring(forget, [50.0, 49.0, 48.0, 20.0])
        for search in ("full", "fewer"):
            assert choose(coefficients, measure, search=search).coefficient == 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"keep": math.nan}, "keep is nan"),
        ({"search": "few"}, "'few'; did you mean 'fewer'"),
        ({"coefficients": [0]}, "no coefficient above 0"),
        ({"coefficients": [-0.5, 1]}, "coefficient -0.5, expected"),
        ({"coefficients": [math.inf]}, "coefficient inf, expected"),
        ({"measure": lambda c: Measurement(c, 1.0, 0.0)}, "score is 0, expected more than 0"),
    ],
)
def test_a_search_that_cannot_choose_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        choose(**{"coefficients": [1], "measure": None} | arguments)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ([0.1, 0.2], "found [0.1, 0.2], expected an object"),
        ({"forget": 0.1}, "found {'forget': 0.1}, expected an object"),
        ({"forget": math.nan, "control": 1}, "'forget' is nan, expected"),
        ({"forget": True, "control": 0.5}, "'forget' is True, expected"),
        ({"forget": 0.1, "control": 10**400}, "expected a finite number"),
    ],
)
def test_what_is_no_measurement_is_refused_in_one_line(returned, message):
    with pytest.raises(UserError) as caught:
        measurement(0.5, returned, "evaluate")
    assert re.fullmatch(f"evaluate: .*{re.escape(message)}.*", str(caught.value))
