"""What NegMerge does where all signs agree."""

import numpy as np
import pytest
from hypothesis import given

from merge_examples import pools
from negmerge.merging import merge

DEFINITIONS = {
    "mean": lambda column: column.mean(),
    "sum": lambda column: column.sum(),
    "largest": lambda column: column[np.abs(column).argmax()],
    "smallest": lambda column: column[np.abs(column).argmin()],
    "median": np.median,
}


@pytest.mark.parametrize("operation", DEFINITIONS)
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
