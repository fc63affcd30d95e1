"""Members that are not of their pool, and honest pools in which none is to be found."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negmerge.standalone.inspection import cosines, mean_to_others, outliers, pairs

SIZES = st.integers(3, 30)
SEEDS = st.integers(0, 10_000)


def matrix_of(vectors):
    wide = torch.stack(vectors).double()
    return cosines(wide @ wide.T)


def honest(seed, count, alike=0.5, numbers=2000):
    """Vectors with a part in common, of different sizes and shares, as a grid of trainings gives.

    Args:
        alike: the least part that is common; 1 is the largest.
    """
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(numbers, generator=generator)
    shares = alike + (1 - alike) * torch.rand(count, generator=generator)
    sizes = 10 ** torch.randn(count, generator=generator)
    own = torch.randn(count, numbers, generator=generator)
    return [
        size * (share * common + math.sqrt(1 - share**2) * noise)
        for size, share, noise in zip(sizes, shares, own, strict=True)
    ]


def foreign(seed, size=1.0, numbers=2000):
    return size * torch.randn(numbers, generator=torch.Generator().manual_seed(seed + 1_000_000))


@given(SEEDS, SIZES, st.sampled_from([0.5, 0.7, 0.95]))
def test_an_honest_pool_has_no_outlier(seed, count, alike):
    assert outliers(matrix_of(honest(seed, count, alike))) == []


@given(SEEDS, st.integers(2, 30), st.sampled_from([0.6, 0.95]), st.sampled_from([1e-3, 1, 1e3]))
def test_a_foreign_member_is_found(seed, count, alike, size):
    vectors = honest(seed, count, alike)
    place = seed % (count + 1)
    vectors.insert(place, foreign(seed, size))
    found = outliers(matrix_of(vectors))
    assert found == [place]


def test_a_member_that_points_the_other_way_or_nowhere_is_found():
    vectors = honest(0, 6)
    assert outliers(matrix_of([*vectors, -vectors[0]])) == [6]
    assert outliers(matrix_of([torch.zeros(2000), *vectors])) == [0]


def test_where_nothing_is_in_common_no_member_is_unlike_the_others():
    for seed in range(20):
        assert outliers(matrix_of([foreign(seed + 100 * member) for member in range(8)])) == []


@pytest.mark.parametrize("count", [1, 2])
def test_of_two_members_none_can_be_told(count):
    assert outliers(matrix_of([foreign(member) for member in range(count)])) == []


def test_cosines_are_those_of_the_pairs():
    vectors = [torch.tensor(v) for v in ([3.0, 4.0], [4.0, 3.0], [0.0, 0.0], [-6.0, -8.0])]
    found = matrix_of(vectors)
    assert found[0].tolist() == pytest.approx([1, 0.96, math.nan, -1], nan_ok=True)
    assert pairs(found).tolist() == pytest.approx([0.96, -1, -0.96])
    assert mean_to_others(found).tolist() == pytest.approx([-0.04 / 3, 0, 0, -1.96 / 3])
    assert mean_to_others(found[:1, :1]).tolist() == [0]
