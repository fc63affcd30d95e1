"""EMR's unified vector: the sign of the mean, the largest magnitude that has it."""

import numpy as np
import pytest
from hypothesis import given

from merge_examples import EXACT, flat, pools, rows
from negmerge.merging import merge


def emr(*vectors):
    return merge("emr", rows(*vectors))["w"].tolist()


@given(pools(numbers=EXACT))
def test_it_is_its_definition(pool):
    merged = flat([merge("emr", pool)])[0].tolist()
    for number, column in zip(merged, flat(pool).T.numpy(), strict=True):
        sign = 1 if column.astype(float).mean() > 0 else -1
        assert number == sign * max([abs(x) for x in column if x * sign > 0], default=0)
        assert number or not np.signbit(number)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ((3, -1, 1), 3),
        ((-3, 1, 1), -3),  # the mean, not the majority, gives the sign
        ((5, -3, -3), -3),  # and the sign is not that of the largest
        ((2, -2), -2),  # a mean of 0 counts as negative
        ((0, 0), 0),
        ((-0.0, -0.0), 0),
        ((0, -1), -1),
        ((1e-45, 0), 0),  # the mean is rounded to 0, and no number is negative
    ],
)
def test_signs_and_magnitudes(column, expected):
    (found,) = emr(*([float(number)] for number in column))
    assert found == expected
    assert found or not np.signbit(found)
