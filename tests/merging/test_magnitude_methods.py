"""Methods that go by magnitudes in single places or rows: MagMax, Breadcrumbs, TALL masks."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merge_examples import EXACT, SPECIAL, assert_close, assert_equal, bits, pools, rows
from negmerge.merging import METHODS, merge


@pytest.mark.parametrize("name", ["magmax_f32_k4", "magmax_edge_k3"])
@pytest.mark.parametrize("result", ["merged", "merged_reversed"])
def test_magmax_is_the_official_one_to_the_bit(golden, name, result):
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


@given(pools(), st.data())
def test_the_order_changes_signs_of_equal_magnitudes_only(pool, data):
    assert METHODS["magmax"].ordered
    first, second = merge("magmax", pool), merge("magmax", data.draw(st.permutations(pool)))
    for name, tensor in first.items():
        assert torch.equal(tensor.abs(), second[name].abs())
        differs = tensor != second[name]
        opposite = torch.stack([vector[name] == -tensor for vector in pool]).any(0)
        assert not (differs & ~opposite).any()


@pytest.mark.parametrize(("density", "remove"), [(0.15, 0.05), (0.5, 0.1), (0.1, 0.0), (1.0, 0.2)])
@pytest.mark.parametrize(("first", "number"), [("remove", 1), ("density", 0)])
def test_breadcrumbs_has_the_official_masks(golden, density, remove, first, number):
    file = golden("breadcrumbs")
    expected = file.state(f"keep{density}_remove{remove}_first{number}")
    vector, options = file.state("tv"), {"density": density, "remove": remove, "first": first}
    assert_equal(merge("breadcrumbs", [vector], **options), expected)
    # Of several vectors each is masked by itself, then the mean is taken.
    twice = {name: 2 * tensor for name, tensor in vector.items()}
    merged = merge("breadcrumbs", [vector, twice], **options)
    assert_close(merged, {name: 1.5 * tensor for name, tensor in expected.items()})


def test_rows_of_breadcrumbs_are_those_of_the_last_axis():
    cube = torch.tensor([1.0, -9, 3, 8, -5, 2, 7, 0]).view(2, 2, 2)
    merged = merge("breadcrumbs", rows(cube), density=0.5, remove=0.0)["w"]
    assert merged.tolist() == [[[0, -9], [0, 8]], [[-5, 0], [7, 0]]]


@given(
    arrays(np.float32, (3, 12), elements=st.one_of(EXACT, SPECIAL)),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(["density", "remove"]),
)
def test_breadcrumbs_is_its_definition(matrix, density, remove, first):
    expected = np.zeros_like(matrix)
    for row, kept in zip(matrix, expected, strict=True):
        falling = sorted(range(12), key=lambda column: (-abs(row[column]), column))
        k, r = int(density * 12), int(remove * 12)
        for column in falling[r : r + k] if first == "remove" else falling[:k][r:]:
            kept[column] = row[column]
    merged = merge("breadcrumbs", rows(matrix), density=density, remove=remove, first=first)["w"]
    assert np.array_equal(merged.numpy(), expected)


THRESHOLDS = (0.2, 0.4, 0.6, 1.0)


@pytest.mark.parametrize("threshold", THRESHOLDS)
@pytest.mark.parametrize("active", [0, 1, 2, 3, 7])
def test_tall_masks_are_the_official_ones(golden, threshold, active):
    file = golden("tall_consensus_k6")
    vectors = rows(*torch.from_numpy(file["tv"]))
    merged = merge("consensus", vectors, threshold=threshold, active=active)["w"]
    expected = torch.from_numpy(file[f"consensus_{threshold}_k{active}"])
    assert torch.equal(merged == 0, expected == 0)
    # The official sum has another order.
    torch.testing.assert_close(merged, expected, rtol=1e-6, atol=1e-7)


def test_an_update_must_be_larger_than_its_share_of_the_others():
    # 1 > 1 * 1 fails, and an exact zero is never active.
    assert merge("consensus", rows([1.0], [1.0]), threshold=1)["w"].item() == 0
    assert merge("consensus", rows([1.0], [1.0]), threshold=0)["w"].item() == 2
    assert merge("consensus", rows([0.0], [1.0]), threshold=0)["w"].item() == 0


@given(pools(numbers=EXACT), st.sampled_from(THRESHOLDS))
def test_tall_masks_keep_the_sum_and_less_the_more_must_be_active(pool, threshold):
    merged = [merge("consensus", pool, active=a, threshold=threshold) for a in range(7)]
    total = {name: sum(vector[name] for vector in pool) for name in pool[0]}
    assert_equal(merged[0], total)
    for before, after in itertools.pairwise(merged):
        assert_equal(after, {name: before[name].where(t != 0, 0.0) for name, t in after.items()})
    assert not any(tensor.any() for tensor in merged[-1].values())  # more than there are models
