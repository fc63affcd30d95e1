"""Order statistics against a full sort."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from merge_examples import flat, in_memory
from negmerge.merging import order
from negmerge.merging.order import select


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


@pytest.fixture
def small(monkeypatch):
    """A sample is drawn of small models, too, and not of all their numbers."""
    monkeypatch.setattr(order, "LEAST", 1)
    monkeypatch.setattr(order, "DRAWN", 1000)
    monkeypatch.setattr(order, "MARGIN", 0.05)
    monkeypatch.setattr(order, "WIDEST", 2**22)


def models(seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        {"a": torch.randn(300, 20, generator=generator) * k, "b": torch.ones(3)} for k in (1, 9)
    ]


@pytest.mark.usefixtures("small")
@given(st.integers(0, 10), st.lists(st.integers(1000, 5000), min_size=1, max_size=3))
def test_the_numbers_are_those_of_a_sort(seed, places):
    pool = models(seed)
    found = order.sampled_magnitudes(in_memory(pool), places)
    ascending = flat(pool).abs().sort(dim=1).values
    assert found in (None, ascending[:, places].tolist())
    assert order.magnitudes(in_memory(pool), *places) == ascending[:, places].tolist()


@pytest.mark.usefixtures("small")
def test_a_sample_that_misleads_gives_nothing():
    tensor = torch.rand(300, 20) + 1
    tensor[:60] /= 100  # the rows that are drawn
    pool = [{"a": tensor}]
    assert order.sampled_magnitudes(in_memory(pool), [3000]) is None
    expected = tensor.abs().flatten().sort().values[3000].item()
    assert order.magnitudes(in_memory(pool), 3000) == [[expected]]
