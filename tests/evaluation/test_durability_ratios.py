"""The ratios that say whether forgetting lasts."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.evaluation.durability import (
    likeness,
    likeness_of_gains,
    relearning_ratio,
    rounding_ratio,
)

SHARES = st.floats(0, 1)


def of_rounding(before, after):
    """In plain words; None where it is not defined."""
    if after == 0:
        return None if before == 0 else 1.0
    return min(before / after, 1.0)


def of_relearning(before, after, never_before, never_after):
    gain, first = after - before, never_after - never_before
    return min(first / gain, 1.0) if gain > 0 and first >= 0 else None


def same(found, expected):
    return math.isnan(found) if expected is None else found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (0.2, 0.8, 0.25), (0.2, 0.2, 1.0), (0.4, 0.1, 1.0), (0.0, 0.3, 0.0), (0.3, 0.0, 1.0),
        (0.0, 0.0, None),
    ],
)  # fmt: skip
def test_what_rounding_brings_back_does_not_last(before, after, expected):
    assert same(float(rounding_ratio(before, after)), expected)


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        # The unlearned model gains 40 points, where Retrain gains 10.
        ((0.5, 0.9, 0.4, 0.5), 0.25),
        ((0.5, 0.6, 0.4, 0.6), 1.0),
        ((0.5, 0.9, 0.4, 0.4), 0.0),
        # A change of zero, or one that is no gain, is compared with nothing.
        ((0.5, 0.5, 0.4, 0.5), None),
        ((0.5, 0.4, 0.4, 0.3), None),
        ((0.5, 0.9, 0.4, 0.3), None),
    ],
)
def test_who_learns_faster_than_retrain_had_not_forgotten(scores, expected):
    assert same(float(relearning_ratio(*scores)), expected)


def test_likeness_asks_for_no_direction():
    assert likeness(0.2, 0.6) == likeness(0.6, 0.2) == pytest.approx(0.5)
    assert likeness(0.3, 0.3) == 1
    assert likeness(0.3, 0.0) == 0
    assert likeness(0.3, -0.1) == pytest.approx(0)
    assert math.isnan(likeness(0.0, 0.0))
    assert likeness_of_gains(0.5, 0.9, 0.4, 0.5) == pytest.approx(1 - 0.3 / 0.5)


@given(st.lists(st.tuples(SHARES, SHARES, SHARES, SHARES), min_size=1, max_size=5))
def test_arrays_are_computed_number_by_number(several):
    before, after, *_ = np.array(several).T
    ratios = rounding_ratio(before, after), relearning_ratio(*np.array(several).T)
    for number, (b, a, nb, na) in enumerate(several):
        assert same(ratios[0][number], of_rounding(b, a))
        assert same(ratios[1][number], of_relearning(b, a, nb, na))
    for found in (*ratios, likeness(before, after)):
        known = found[~np.isnan(found)]
        assert ((known >= 0) & (known <= 1)).all()
