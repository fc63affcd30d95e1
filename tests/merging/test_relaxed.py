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
