"""MagMax: against the official code, and where magnitudes tie."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from merge_examples import bits, pools, rows

from negmerge.errors import UserError
from negmerge.merging import METHODS, merge


def magmax(*vectors):
    return merge("magmax", rows(*vectors))["w"].tolist()


@pytest.mark.parametrize("name", ["magmax_f32_k4", "magmax_edge_k3"])
@pytest.mark.parametrize("result", ["merged", "merged_reversed"])
def test_merges_are_the_official_ones_to_the_bit(golden, name, result):
    file = golden(name)
    vectors, expected = file.states("tv"), file.state(result)
    assert len(vectors) == file.meta["K"]
    if "columns" in file.meta:
        finite = torch.isfinite(torch.stack([vector["w"] for vector in vectors])).all(0)
        assert finite.sum() == len(finite) - 5
        vectors = [{"w": vector["w"][finite]} for vector in vectors]
        expected = {"w": expected["w"][finite]}
    merged = merge("magmax", vectors[::-1] if result == "merged_reversed" else vectors)
    assert bits(merged) == bits({name: expected[name] for name in merged})


@pytest.mark.parametrize("column", ["nan first", "nan middle", "nan last", "inf", "-inf +inf"])
def test_columns_that_are_not_finite_are_refused(golden, column):
    file = golden("magmax_edge_k3")
    place = file.meta["columns"].index(column)
    vectors = [{"w": vector["w"][place]} for vector in file.states("tv")]
    with pytest.raises(UserError, match=r"^vector \d: tensor 'w' holds 1 NaN or infinite of 1$"):
        merge("magmax", vectors)


def test_of_equal_magnitudes_the_last_one_stays():
    assert magmax([2.0, 2, 1], [-2, 1, -1], [1, -2, 1]) == [-2, -2, 1]
    assert np.signbit(magmax([0.0], [-0.0])).all()
    assert METHODS["magmax"].ordered


@given(pools(), st.data())
def test_the_order_of_models_changes_signs_of_equal_magnitudes_only(pool, data):
    one, other = merge("magmax", pool), merge("magmax", data.draw(st.permutations(pool)))
    for name, tensor in one.items():
        assert torch.equal(tensor.abs(), other[name].abs())
        differs = tensor != other[name]
        opposite = torch.stack([vector[name] == -tensor for vector in pool]).any(0)
        assert not (differs & ~opposite).any()


@given(pools())
def test_it_is_a_number_of_largest_magnitude(pool):
    for name, tensor in merge("magmax", pool).items():
        numbers = torch.stack([vector[name] for vector in pool])
        assert torch.equal(tensor.abs(), numbers.abs().amax(0))
        assert (numbers == tensor).any(0).all()
