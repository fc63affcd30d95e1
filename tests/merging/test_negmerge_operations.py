"""What NegMerge does where all signs agree."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given
from merge_examples import pools, rows

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


def test_float64_stays_float64():
    third = torch.tensor([1 / 3, -1 / 3], dtype=torch.float64)
    for operation in OPERATIONS:
        merged = merge("negmerge", rows(third, third), operation=operation)["w"]
        assert merged.dtype == torch.float64
        assert torch.equal(merged, 2 * third if operation == "sum" else third)
