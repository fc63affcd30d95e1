"""What merges must do for any input."""

from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from merge_examples import EXACT, SETTINGS, assert_equal, bits, negative, pools, random_pool, scaled

from negmerge.merging import METHODS, merge

OPERATIONS = get_args(METHODS["negmerge"].options.model_fields["operation"].annotation)


@given(pools())
def test_negmerge_is_its_definition(pool):
    merged = merge("negmerge", pool)
    for name, tensor in merged.items():
        stacked = np.stack([vector[name].numpy() for vector in pool]).reshape(len(pool), -1)
        for number, column in zip(tensor.flatten().tolist(), stacked.T, strict=True):
            if (column > 0).all() or (column < 0).all():
                assert number == pytest.approx(column.astype(float).mean(), rel=1e-6)
            else:
                assert number == 0


# What keeps all of a single vector.
WHOLE = [
    *(("negmerge", {"operation": name}) for name in OPERATIONS),
    *(("ties", {"density": 1, "reduce": name}) for name in ("mean", "sum", "max")),
    *((name, {}) for name in ("uniform", "magmax", "emr", "random-mask", "masked-single")),
    ("relaxed", {"agreement": 0.5}),
    ("relaxed", {}),
]


@pytest.mark.parametrize(("method", "options"), WHOLE)
@given(pools(largest=1))
def test_one_model_is_its_own_merge(method, options, pool):
    assert_equal(merge(method, pool, **options), pool[0])


@given(pools(largest=1))
def test_one_model_has_no_conflict(pool):
    assert not any(tensor.any() for tensor in merge("conflict", pool).values())


@given(pools(largest=1), st.integers(2, 6))
def test_identical_models_agree_on_all_that_is_not_zero(pool, count):
    merged = merge("negmerge", pool * count)
    for name, tensor in merged.items():
        assert torch.equal(tensor == 0, pool[0][name] == 0)
        torch.testing.assert_close(tensor, pool[0][name], rtol=1e-6, atol=0)


@given(pools(largest=1))
def test_opposite_models_agree_on_nothing(pool):
    settings = [("uniform", {}), ("conflict", {})]
    for method, options in settings + [("negmerge", {"operation": name}) for name in OPERATIONS]:
        merged = merge(method, [pool[0], negative(pool[0])], **options)
        assert not any(tensor.any() for tensor in merged.values()), (method, options)


@given(pools(), st.data())
def test_the_order_of_models_moves_nothing_but_rounding(pool, data):
    shuffled = data.draw(st.permutations(pool))
    one, other = merge("negmerge", pool), merge("negmerge", shuffled)
    for name in one:
        assert torch.equal(one[name] == 0, other[name] == 0)
        torch.testing.assert_close(one[name], other[name], rtol=1e-6, atol=0)


@given(pools())
def test_negmerge_and_conflict_make_the_uniform_merge(pool):
    kept, left = merge("negmerge", pool), merge("conflict", pool)
    assert_equal({name: kept[name] + left[name] for name in kept}, merge("uniform", pool))
    for name in kept:
        assert not (kept[name].bool() & left[name].bool()).any()


# Not where the places of vectors decide; and exponentials, those of pcb, round.
@pytest.mark.parametrize(
    ("method", "options"),
    [
        (method, options)
        for method, options in SETTINGS
        if not METHODS[method].ordered and method not in ("dare", "pcb")
    ],
)
@given(pools(numbers=EXACT), st.data())
def test_the_order_of_models_moves_nothing_where_sums_are_exact(method, options, pool, data):
    shuffled = data.draw(st.permutations(pool))
    assert bits(merge(method, shuffled, **options)) == bits(merge(method, pool, **options))


@pytest.mark.parametrize(
    ("method", "options"), [one for one in SETTINGS if one[0] not in ("masked-single", "pcb")]
)
@given(pools(), st.integers(-10, 10))
def test_scaling_by_a_power_of_two_scales_the_merge(method, options, pool, power):
    shifted = merge(method, [scaled(vector, 2.0**power) for vector in pool], **options)
    assert_equal(shifted, scaled(merge(method, pool, **options), 2.0**power))


@given(pools())
def test_minus_zero_never_leaves_negmerge(pool):
    for tensor in merge("negmerge", pool).values():
        assert not (torch.signbit(tensor) & (tensor == 0)).any()


@given(pools(), st.data())
def test_one_zero_removes_the_coordinate(pool, data):
    assume(len(pool) > 1)
    vector = data.draw(st.sampled_from(pool))
    vector["scalar"].zero_()
    assert merge("negmerge", pool)["scalar"] == 0


def test_votes_are_counted_beyond_the_range_of_half_precision():
    tensor = torch.ones(2)
    assert_equal(merge("negmerge", [{"w": tensor}] * 300), {"w": tensor})
    assert_equal(
        merge("negmerge", [{"w": tensor}] * 299 + [{"w": torch.tensor([1.0, -1.0])}]),
        {"w": torch.tensor([1.0, 0.0])},
    )


def test_inputs_stay_as_they_are():
    for method in METHODS:
        pool = [{"w": torch.tensor([1.0, -2.0])}, {"w": torch.tensor([3.0, 4.0])}]
        copies = [{"w": vector["w"].clone()} for vector in pool]
        merge(method, pool)["w"].zero_()
        for vector, copy in zip(pool, copies, strict=True):
            assert_equal(vector, copy)


def test_float64_stays_float64():
    third = torch.tensor([1 / 3, -1 / 3], dtype=torch.float64)
    for method in ("uniform", "negmerge"):
        assert_equal(merge(method, [{"w": third}, {"w": third}]), {"w": third})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_vectors_in_half_precision_are_summed_in_float32(dtype):
    pool = [{"w": torch.tensor([value, -value]).to(dtype)} for value in (1000.0, 0.1, 0.1)]
    wide = [{"w": vector["w"].float()} for vector in pool]
    for method in ("uniform", "negmerge"):
        merged = merge(method, pool)
        assert merged["w"].dtype == torch.float32
        assert_equal(merged, merge(method, wide))


@pytest.mark.parametrize("method", METHODS)
def test_tensors_that_were_frozen_stay_exactly_zero(method):
    pool = [vector | {"frozen": torch.zeros(50)} for vector in random_pool(1, 3)]
    merged = merge(method, pool)
    assert not merged["frozen"].any()
    assert merged["a"].any()
