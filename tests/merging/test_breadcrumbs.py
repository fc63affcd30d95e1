"""Breadcrumbs against the official masks and by their properties."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merge_examples import (
    EXACT,
    SPECIAL,
    assert_close,
    assert_equal,
    rows,
)
from negmerge.merging import merge


def breadcrumbs(*vectors, **options):
    return merge("breadcrumbs", rows(*vectors), **options)["w"].tolist()


@pytest.mark.parametrize(("density", "remove"), [(0.15, 0.05), (0.5, 0.1), (0.1, 0.0), (1.0, 0.2)])
@pytest.mark.parametrize(("first", "number"), [("remove", 1), ("density", 0)])
def test_masks_are_the_official_ones(golden, density, remove, first, number):
    file = golden("breadcrumbs")
    expected = file.state(f"keep{density}_remove{remove}_first{number}")
    vector = file.state("tv")
    assert_equal(
        merge("breadcrumbs", [vector], density=density, remove=remove, first=first), expected
    )
    # Of several vectors each is masked by itself, then the mean is taken.
    twice = {name: 2 * tensor for name, tensor in vector.items()}
    merged = merge("breadcrumbs", [vector, twice], density=density, remove=remove, first=first)
    assert_close(merged, {name: 1.5 * tensor for name, tensor in expected.items()})


ROW = [1.0, -9, 3, 8, -5, 2, 7, 0, 6, -4]


def test_rows_are_those_of_the_last_axis():
    cube = torch.tensor(ROW[:8]).view(2, 2, 2)
    expected = [[[0, -9], [0, 8]], [[-5, 0], [7, 0]]]
    assert breadcrumbs(cube, density=0.5, remove=0.0) == expected


@given(
    arrays(np.float32, (3, 12), elements=st.one_of(EXACT, SPECIAL)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["density", "remove"]),
)
def test_it_is_its_definition(matrix, density, remove, first):
    expected = np.zeros_like(matrix)
    for row, kept in zip(matrix, expected, strict=True):
        falling = sorted(range(12), key=lambda column: (-abs(row[column]), column))
        k, r = int(density * 12), int(remove * 12)
        for column in falling[r : r + k] if first == "remove" else falling[:k][r:]:
            kept[column] = row[column]
    merged = merge("breadcrumbs", rows(matrix), density=density, remove=remove, first=first)["w"]
    assert np.array_equal(merged.numpy(), expected)
