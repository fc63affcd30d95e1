"""The consensus of TALL masks against the official masks and by its properties."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import EXACT, assert_equal, pools, rows
from negmerge.merging import merge

THRESHOLDS = (0.2, 0.4, 0.6, 1.0)


def of_golden(file, **options):
    vectors = torch.from_numpy(file["tv"])
    return merge("consensus", rows(*vectors), **options)["w"]


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("active", [0, 1, 2, 3, 7])
def test_it_is_the_official_consensus(golden, threshold, active):
    file = golden("tall_consensus_k6")
    merged = of_golden(file, threshold=threshold, active=active)
    expected = torch.from_numpy(file[f"consensus_{threshold}_k{active}"])
    assert torch.equal(merged == 0, expected == 0)
    # The official sum has another order.
    torch.testing.assert_close(merged, expected, rtol=1e-6, atol=1e-7)


def consensus(*vectors, **options):
    return merge("consensus", rows(*vectors), **options)["w"].tolist()


def test_an_update_counts_beside_the_sum_of_the_others():
    # 1 > 0.4 * 2 and 2 > 0.4 * 1: both; 1 > 0.4 * 3 fails.
    assert consensus([1.0, 1.0], [2.0, 3.0]) == [3.0, 0.0]
    assert consensus([1.0, 1.0], [2.0, 3.0], active=1) == [3.0, 4.0]
    # Strictly larger: 1 > 1 * 1 fails.
    assert consensus([1.0], [1.0], threshold=1) == [0.0]
    assert consensus([1.0], [1.0], threshold=0) == [2.0]
    # An exact zero is never active.
    assert consensus([0.0], [1.0], threshold=0) == [0.0]


@given(pools(numbers=EXACT), st.sampled_from(THRESHOLDS))
def test_it_is_the_sum_where_anything_is_kept(pool, threshold):
    total = merge("consensus", pool, active=0, threshold=threshold)
    assert_equal(total, {name: sum(vector[name] for vector in pool) for name in total})
    smaller = [merge("consensus", pool, active=a, threshold=threshold) for a in range(7)]
    for name, tensor in total.items():
        for before, after in itertools.pairwise(smaller):
            assert torch.equal(after[name], before[name].where(after[name] != 0, 0.0))
        kept = smaller[1][name]
        assert torch.equal(kept, tensor.where(kept != 0, 0.0))
    assert not any(tensor.any() for tensor in smaller[-1].values())  # more than there are models
