"""NegMerge's mask on a single vector."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import assert_equal, pools, rows
from negmerge.errors import UserError
from negmerge.merging import METHODS, merge


@given(pools(), st.data())
def test_it_is_the_single_vector_where_negmerge_is_not_zero(pool, data):
    single = data.draw(st.integers(1, len(pool)))
    merged, agreeing = merge("masked-single", pool, single=single), merge("negmerge", pool)
    expected = {n: pool[single - 1][n].where(t != 0, 0.0) for n, t in agreeing.items()}
    assert_equal(merged, expected)
    for tensor in merged.values():
        assert not (torch.signbit(tensor) & (tensor == 0)).any()


def test_all_vectors_vote_also_those_that_are_not_kept():
    pool = rows([1.0, 2, -3, 4], [2.0, 3, -4, 5], [1.0, -1, -1, 0])
    assert merge("masked-single", pool, single=2)["w"].tolist() == [2, 0, -4, 0]
    assert merge("masked-single", pool)["w"].tolist() == [1, 0, -3, 0]
    assert METHODS["masked-single"].ordered


def test_a_place_that_no_vector_has_is_refused():
    with pytest.raises(UserError) as caught:
        merge("masked-single", rows([1.0], [2.0]), single=3)
    assert str(caught.value) == "masked-single: option single is 3, but 2 vectors are merged"
