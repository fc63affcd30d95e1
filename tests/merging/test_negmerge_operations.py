"""What NegMerge does where all signs agree."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from merge_examples import EXACT, assert_equal, bits, negative, pools, rows, scaled

from negmerge.merging import METHODS, merge

OPERATIONS = get_args(METHODS["negmerge"].options.model_fields["operation"].annotation)
DEFINITIONS = {
    "mean": lambda column: column.mean(),
    "sum": lambda column: column.sum(),
    "largest": lambda column: column[np.abs(column).argmax()],
    "smallest": lambda column: column[np.abs(column).argmin()],
    "median": np.median,
}


def negmerge(*vectors, **options):
    return merge("negmerge", rows(*vectors), **options)["w"].tolist()


def test_every_operation_has_its_definition():
    assert set(OPERATIONS) == set(DEFINITIONS)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_are_their_definitions_and_zero_without_agreement(operation):
    @given(pools())
    def check(pool):
        merged = merge("negmerge", pool, operation=operation)
        for name, tensor in merged.items():
            stacked = np.stack([vector[name].numpy() for vector in pool]).reshape(len(pool), -1)
            for number, column in zip(tensor.flatten().tolist(), stacked.T, strict=True):
                if (column > 0).all() or (column < 0).all():
                    expected = DEFINITIONS[operation](column.astype(float))
                    assert number == pytest.approx(expected, rel=1e-6)
                else:
                    assert number == 0
                    assert not np.signbit(number)

    check()


def test_the_mean_is_the_default():
    assert negmerge([1.0, 1], [2, -1], [6, 1]) == [3, 0]


def test_largest_and_smallest_are_magnitudes_with_their_sign():
    vectors = ([1.0, -1, 1], [4, -4, -4], [2, -2, 2])
    assert negmerge(*vectors, operation="largest") == [4, -4, 0]
    assert negmerge(*vectors, operation="smallest") == [1, -1, 0]


def test_the_median_of_an_even_number_is_the_mean_of_the_two_in_the_middle():
    assert negmerge([1.0], [2], [4], [100], operation="median") == [3]
    assert negmerge([1.0], [2], [100], operation="median") == [2]
    assert negmerge([-1.0], [-2], operation="median") == [-1.5]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_one_model_is_its_own_merge_and_opposite_ones_cancel(operation):
    @given(pools(largest=1))
    def check(pool):
        assert_equal(merge("negmerge", pool, operation=operation), pool[0])
        merged = merge("negmerge", [pool[0], negative(pool[0])], operation=operation)
        assert not any(tensor.any() for tensor in merged.values())

    check()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_order_of_models_does_not_matter(operation):
    @given(pools(numbers=EXACT), st.data())
    def check(pool, data):
        shuffled = data.draw(st.permutations(pool))
        one = merge("negmerge", pool, operation=operation)
        assert bits(merge("negmerge", shuffled, operation=operation)) == bits(one)

    check()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_scaling_by_a_power_of_two_scales_the_merge(operation):
    @given(pools(), st.integers(-10, 10))
    def check(pool, power):
        shifted = [scaled(vector, 2.0**power) for vector in pool]
        merged = scaled(merge("negmerge", pool, operation=operation), 2.0**power)
        assert_equal(merge("negmerge", shifted, operation=operation), merged)

    check()


def test_float64_stays_float64():
    third = torch.tensor([1 / 3, -1 / 3], dtype=torch.float64)
    for operation in OPERATIONS:
        merged = merge("negmerge", rows(third, third), operation=operation)["w"]
        assert merged.dtype == torch.float64
        assert torch.equal(merged, 2 * third if operation == "sum" else third)
