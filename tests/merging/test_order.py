"""Order statistics against a full sort."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from merge_examples import in_memory

from negmerge.merging import order
from negmerge.merging.order import select, widest


def visiting(*sets, step=3):
    """Make passes over sets of numbers, in parts of a few."""

    def visit(take):
        for index, numbers in enumerate(sets):
            for start in range(0, len(numbers), step):
                take(index, numbers[start : start + step])

    return visit


def elements(width):
    special = [0.0, -0.0, 1.0, -1.0, 2.0**-149, -(2.0**-149), 2.0**-126, float(2**100)]
    return st.one_of(
        st.sampled_from(special), st.floats(allow_nan=False, allow_infinity=False, width=width)
    )


@pytest.mark.parametrize(("dtype", "width"), [(np.float32, 32), (np.float64, 64)])
def test_every_rank_is_what_a_sort_gives(dtype, width):
    @given(arrays(dtype, st.integers(1, 30), elements=elements(width)))
    def check(array):
        numbers = torch.from_numpy(array)
        (found,) = select(visiting(numbers), [range(len(numbers))], numbers.dtype)
        assert found == numbers.sort().values.tolist()

    check()


@pytest.mark.parametrize(("dtype", "passes"), [(torch.float32, 2), (torch.float64, 4)])
def test_passes_are_two_for_float32_and_four_for_float64(dtype, passes):
    numbers = torch.randn(1000, dtype=dtype)
    taken = []

    def visit(take):
        taken.append(1)
        take(0, numbers)

    ((median,),) = select(visit, [[500]], dtype)
    assert median == numbers.sort().values[500]
    assert len(taken) == passes


@pytest.mark.parametrize(("dtype", "width"), [(np.float32, 32), (np.float64, 64)])
def test_a_gpu_counts_as_a_cpu_does(dtype, width):
    @given(arrays(dtype, st.integers(1, 30), elements=elements(width)))
    def check(array):
        numbers = torch.from_numpy(array)
        bits = array.view(f"u{width // 8}")
        for shift in range(0, width, order.BITS):
            before = {int(b) >> shift + order.BITS for b in bits}
            expected = order._count_on_cpu(numbers, shift, before)
            found = order._count_on_gpu(numbers, shift, before)
            assert found.keys() == expected.keys()
            assert all(torch.equal(found[digits], expected[digits]) for digits in before)
            assert sum(int(counts.sum()) for counts in found.values()) == len(numbers)

    check()


def test_threads_may_count_at_once():
    numbers = torch.randn(40_000)

    def visit(take):
        with ThreadPoolExecutor(4) as executor:
            list(executor.map(lambda part: take(0, part), numbers.split(500)))

    assert select(visit, [[0, 20_000]]) == [numbers.sort().values[[0, 20_000]].tolist()]


def test_numbers_that_share_most_of_their_bits_are_told_apart():
    # The last 16 bits alone differ, on both sides of zero.
    close = 1 + torch.arange(1000) * 2.0**-23
    numbers = torch.cat([close, -close])[torch.randperm(2000)]
    ranks = [0, 1, 2, 998, 999, 1000, 1001, 1999]
    assert select(visiting(numbers, step=77), [ranks]) == [numbers.sort().values[ranks].tolist()]


def test_minus_zero_comes_out_as_zero():
    (found,) = select(visiting(torch.tensor([0.0, -0.0, -0.0])), [[0, 1, 2]])
    assert found == [0.0, 0.0, 0.0]
    assert not np.signbit(found).any()


def test_sets_are_searched_together_each_for_its_own_ranks():
    one, other, third = torch.randn(50), torch.full((7,), 3.0), torch.randn(9) * 1e-40
    found = select(visiting(one, other, third), [[10, 40], [], [8, 0, 8]])
    assert found[0] == one.sort().values[[10, 40]].tolist()
    assert found[1] == []
    assert found[2] == third.sort().values[[8, 0, 8]].tolist()


def test_float32_numbers_among_float64_ones_keep_their_order():
    near = torch.tensor([1.0, 1 + 2**-23])
    between = torch.tensor([1 + 2**-30], dtype=torch.float64)

    def visit(take):
        take(0, near)
        take(0, between)

    assert select(visit, [[0, 1, 2]], torch.float64) == [[1.0, 1 + 2**-30, 1 + 2**-23]]


def test_parts_may_have_any_shape_and_layout():
    matrix = torch.randn(6, 4)
    assert select(lambda take: take(0, matrix.T), [[5]]) == [[matrix.reshape(-1).sort().values[5]]]


@pytest.mark.parametrize("rank", [3, -1])
def test_a_rank_that_is_not_there_is_an_error(rank):
    with pytest.raises(IndexError, match=f"no place {rank} among 3 numbers"):
        select(visiting(torch.ones(3)), [[rank]])


def test_the_widest_dtype_holds_all_tensors():
    narrow, wide = torch.ones(1), torch.ones(1, dtype=torch.float64)
    assert widest(in_memory([{"a": narrow, "b": narrow}])) == torch.float32
    assert widest(in_memory([{"a": narrow, "b": wide}])) == torch.float64
