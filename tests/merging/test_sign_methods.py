"""Methods that go by signs: NegMerge and its control experiments, relaxed consensus, EMR."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import EXACT, assert_equal, bits, flat, pools, rows
from negmerge.errors import UserError
from negmerge.merging import METHODS, merge

DEFINITIONS = {
    "mean": lambda column: column.mean(),
    "sum": lambda column: column.sum(),
    "largest": lambda column: column[np.abs(column).argmax()],
    "smallest": lambda column: column[np.abs(column).argmin()],
    "median": np.median,
}


@given(pools(), st.sampled_from(list(DEFINITIONS)))
def test_negmerge_does_its_operation_where_all_agree_and_is_zero_elsewhere(pool, operation):
    merged = flat([merge("negmerge", pool, operation=operation)])[0].tolist()
    for number, column in zip(merged, flat(pool).T.numpy(), strict=True):
        if (column > 0).all() or (column < 0).all():
            expected = DEFINITIONS[operation](column.astype(float))
            assert number == pytest.approx(expected, rel=1e-6)
        else:
            assert number == 0
            assert not np.signbit(number)


@given(pools())
def test_negmerge_and_conflict_make_the_uniform_merge(pool):
    kept, left = merge("negmerge", pool), merge("conflict", pool)
    assert_equal({name: kept[name] + left[name] for name in kept}, merge("uniform", pool))
    for name in kept:
        assert not (kept[name].bool() & left[name].bool()).any()


@given(pools(), st.data())
def test_masked_single_is_the_single_vector_where_negmerge_is_not_zero(pool, data):
    single = data.draw(st.integers(1, len(pool)))
    merged, agreeing = merge("masked-single", pool, single=single), merge("negmerge", pool)
    expected = {n: pool[single - 1][n].where(t != 0, 0.0) for n, t in agreeing.items()}
    assert_equal(merged, expected)
    for tensor in merged.values():
        assert not (torch.signbit(tensor) & (tensor == 0)).any()


def test_masked_single_refuses_a_place_that_no_vector_has():
    assert METHODS["masked-single"].ordered
    with pytest.raises(UserError, match="single is 3, but 2 vectors"):
        merge("masked-single", rows([1.0], [2.0]), single=3)


@given(pools(), st.floats(0.5, 1))
def test_relaxed_keeps_the_mean_over_all_where_enough_agree(pool, agreement):
    merged, uniform = merge("relaxed", pool, agreement=agreement), merge("uniform", pool)
    for name, tensor in merged.items():
        signs = torch.stack([vector[name] for vector in pool]).sign()
        votes = torch.maximum((signs > 0).sum(0), (signs < 0).sum(0))
        needed = math.ceil(Fraction(agreement).limit_denominator(1000) * len(pool))
        if abs(agreement * len(pool) - round(agreement * len(pool))) > 1e-3:
            assert torch.equal(tensor, uniform[name].where(votes >= needed, 0.0))
    assert bits(merge("relaxed", pool, agreement=1)) == bits(merge("negmerge", pool))


@pytest.mark.parametrize(
    ("agreement", "count", "needed"), [(0.55, 100, 55), (0.7, 10, 7), (0.5, 3, 2), (0.81, 5, 5)]
)
def test_relaxed_needs_no_vote_too_many_by_rounding(agreement, count, needed):
    def with_votes(votes):
        vectors = [[1.0]] * votes + [[0.0]] * (count - votes)
        return merge("relaxed", rows(*vectors), agreement=agreement)["w"].item()

    assert with_votes(needed) == pytest.approx(needed / count)
    assert with_votes(needed - 1) == 0


@given(pools(numbers=EXACT))
def test_emr_is_its_definition(pool):
    merged = flat([merge("emr", pool)])[0].tolist()
    for number, column in zip(merged, flat(pool).T.numpy(), strict=True):
        sign = 1 if column.astype(float).mean() > 0 else -1
        assert number == sign * max([abs(x) for x in column if x * sign > 0], default=0)
        assert number or not np.signbit(number)


def test_emr_where_the_mean_is_rounded_to_0_and_no_number_is_negative():
    merged = merge("emr", rows([1e-45], [0.0]))["w"]
    assert merged.item() == 0
    assert not torch.signbit(merged).any()
