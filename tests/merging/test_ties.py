"""TIES-Merging: against the official code, and in the corners that are easily missed."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import assert_close, assert_equal, flat, in_memory, pools, rows
from negmerge.merging import METHODS, merge

# Every result of the official code in these files: file, K of the official code, merge function.
OFFICIAL = {
    "ties_f32_k2_d60": ("K20", "K50", "K80", "K0.2"),
    "ties_limits_k3_d20": ("K0", "K2", "K0.999", "K99", "K5", "K10"),
    "ties_edge_k3_d10": ("K20", "K50", "K90"),
    "ties_zero_majority_k2_d5": ("K99", "K90"),
}


def density_of(name):
    """The official code takes a K above 1 for percent."""
    k = float(name.removeprefix("K"))
    return k / 100 if k > 1 else k


@pytest.mark.parametrize(("name", "k"), [(n, k) for n, ks in OFFICIAL.items() for k in ks])
def test_merges_are_the_official_ones_to_the_bit(golden, name, k):
    file = golden(name)
    results = [key for key in file.arrays.files if key.startswith(f"{k}/dis-")]
    assert results
    for key in results:
        merged = merge(
            "ties", rows(*file["tv"]), density=density_of(k), reduce=key.removeprefix(f"{k}/dis-")
        )["w"]
        # There are at most three vectors, whose sums have one order only.
        assert merged.numpy().tobytes() == file[key].tobytes(), key


@pytest.mark.parametrize("k", ["K20", "K50"])
def test_trimming_is_over_the_whole_model_not_per_tensor(golden, k):
    file = golden("ties_state_dict_k4")
    merged = merge("ties", file.states("tv"), density=density_of(k))
    expected = file.state(f"global_{k}")
    expected.pop("flat")
    assert_close(dict(sorted(merged.items())), expected)
    per_tensor = file.state(f"pertensor_{k}")
    assert any(not torch.equal(merged[name] == 0, per_tensor[name] == 0) for name in merged)
    for name, tensor in per_tensor.items():
        alone = merge("ties", [{name: v[name]} for v in file.states("tv")], density=density_of(k))
        assert_close(alone, {name: tensor})


@given(pools(), st.floats(0, 1), st.sampled_from(["mean", "sum", "max"]))
def test_it_is_its_definition(pool, density, reduce):
    merged = flat([merge("ties", pool, density=density, reduce=reduce)])[0]
    assert not (torch.signbit(merged) & (merged == 0)).any()
    vectors = flat(pool)
    n = vectors.shape[1]
    place = n - int(n * density) - 1
    for vector in vectors:
        if place >= 0:
            vector[vector.abs() < vector.abs().sort().values[place]] = 0
    mass = torch.zeros(n)
    for vector in vectors:
        mass += vector
    majority = mass.sign().sum().sign()
    for number, column, total in zip(merged.tolist(), vectors.T, mass, strict=True):
        sign = total.sign() or majority
        kept = column[column > 0] if sign > 0 else column[column < 0]
        if not len(kept) or (reduce == "max" and not sign):
            assert number == 0
        elif reduce == "max":
            assert number == sign * kept.abs().max()
        else:
            total = kept.double().sum().item()
            assert number == pytest.approx(total / (len(kept) if reduce == "mean" else 1), rel=1e-6)


def thresholds(pool, **options):
    checked = METHODS["ties"].check("ties", options)
    return METHODS["ties"].survey(in_memory(pool), **checked.model_dump()).thresholds


@given(pools(), st.integers(1, 30), st.floats(0, 1), st.sampled_from(["mean", "sum", "max"]))
def test_numbers_that_are_not_there_count_as_the_zeros_of_a_longer_state(
    pool, zeros, density, reduce
):
    longer = [vector | {"text": torch.zeros(zeros)} for vector in pool]
    options = {"density": density, "reduce": reduce}
    size = flat(longer).shape[1]
    expected = merge("ties", longer, **options)
    assert not expected.pop("text").any()
    assert_equal(merge("ties", pool, numbers=size, **options), expected)
    assert thresholds(pool, density=density, numbers=size) == thresholds(longer, density=density)


@given(pools(), st.integers(1, 30), st.floats(0, 1), st.sampled_from(["mean", "sum", "max"]))
def test_of_the_trainable_numbers_a_frozen_tensor_counts_for_nothing(pool, zeros, density, reduce):
    for vector in pool:
        vector["matrix"][0] = torch.tensor([1.0, -0.0])
        vector["scalar"].fill_(2.0)
    frozen = [{"attention": torch.zeros(zeros, 2)} | vector for vector in pool]
    options = {"density": density, "reduce": reduce}
    merged = merge("ties", frozen, of="trainable", **options)
    assert not merged.pop("attention").any()
    assert_equal(merged, merge("ties", pool, **options))


def test_float64_and_mixed_models_are_trimmed_in_float64():
    wide = torch.tensor([1 + 2**-30, 3.0, 1 + 2**-40], dtype=torch.float64)
    narrow = torch.tensor([1.0, 1 + 2**-23])
    merged = merge("ties", [{"narrow": narrow, "wide": wide}], density=0.4)
    # The threshold is 1 + 2**-30: the float32 number 1 is below it, though it rounds to it.
    assert merged["narrow"].tolist() == [0, 1 + 2**-23]
    assert merged["wide"].tolist() == [1 + 2**-30, 3, 0]
