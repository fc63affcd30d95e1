"""Relaxed sign consensus: NegMerge with fewer votes."""

import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from merge_examples import (
    bits,
    pools,
    rows,
)

from negmerge.merging import merge

AGREEMENTS = st.floats(0.5, 1)


def relaxed(*vectors, **options):
    return merge("relaxed", rows(*vectors), **options)["w"].tolist()


@given(pools())
def test_full_agreement_is_negmerge_to_the_bit(pool):
    assert bits(merge("relaxed", pool, agreement=1)) == bits(merge("negmerge", pool))


@given(pools(), AGREEMENTS)
def test_the_mean_over_all_is_kept_where_enough_agree(pool, agreement):
    merged, uniform = merge("relaxed", pool, agreement=agreement), merge("uniform", pool)
    for name, tensor in merged.items():
        signs = torch.stack([vector[name] for vector in pool]).sign()
        votes = torch.maximum((signs > 0).sum(0), (signs < 0).sum(0))
        needed = math.ceil(Fraction(agreement).limit_denominator(1000) * len(pool))
        if abs(agreement * len(pool) - round(agreement * len(pool))) > 1e-3:
            assert torch.equal(tensor, uniform[name].where(votes >= needed, 0.0))


@pytest.mark.parametrize(
    ("agreement", "count", "needed"),
    [(0.55, 100, 55), (0.8, 5, 4), (0.7, 10, 7), (0.5, 3, 2), (0.81, 5, 5), (0.58, 50, 29)],
)
def test_the_votes_needed_are_not_one_too_many_by_rounding(agreement, count, needed):
    def with_votes(votes):
        vectors = [[1.0]] * votes + [[0.0]] * (count - votes)
        return relaxed(*vectors, agreement=agreement)[0]

    assert with_votes(needed) == pytest.approx(needed / count)
    assert with_votes(needed - 1) == 0


def test_a_zero_is_a_vote_for_neither_sign():
    assert relaxed([1.0], [0], agreement=0.5) == [0.5]
    assert relaxed([1.0], [0], agreement=0.6) == [0]
    assert relaxed([-0.0], [0.0], agreement=0.5) == [0]


def test_the_mean_may_have_the_sign_of_the_minority():
    assert relaxed([-9.0], [1], [1], [1], [1], agreement=0.8) == [-1]


def test_votes_are_counted_beyond_the_range_of_half_precision():
    assert relaxed(*[[1.0]] * 2999, [-1.0], agreement=0.9999) == [0]
    assert relaxed(*[[1.0]] * 2999, [-1.0], agreement=0.999) == pytest.approx([2998 / 3000])
