"""MagMax: against the official code, and where magnitudes tie."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import bits, pools, rows
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
