"""Order statistics with the help of a sample are those of a full sort."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from merge_examples import bits, flat, in_memory, random_pool

from negmerge.merging import merge, order


@pytest.fixture(autouse=True)
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


@given(st.integers(0, 10), st.lists(st.integers(1000, 5000), min_size=1, max_size=3))
def test_the_numbers_are_those_of_a_sort(seed, places):
    pool = models(seed)
    found = order.sampled_magnitudes(in_memory(pool), places)
    ascending = flat(pool).abs().sort(dim=1).values
    assert found in (None, ascending[:, places].tolist())
    assert order.magnitudes(in_memory(pool), *places) == ascending[:, places].tolist()


def test_a_sample_is_enough_where_rows_are_alike():
    assert order.sampled_magnitudes(in_memory(models(0)), [3000]) is not None


def test_a_sample_that_misleads_gives_nothing():
    tensor = torch.rand(300, 20) + 1
    tensor[:60] /= 100  # the rows that are drawn
    pool = [{"a": tensor}]
    assert order.sampled_magnitudes(in_memory(pool), [3000]) is None
    expected = tensor.abs().flatten().sort().values[3000].item()
    assert order.magnitudes(in_memory(pool), 3000) == [[expected]]


def test_numbers_that_are_all_zero_are_counted():
    pool = [{"a": torch.zeros(300, 20)}]
    assert order.sampled_magnitudes(in_memory(pool), [0, 3000]) == [[0.0, 0.0]]


def test_ties_is_the_same_to_the_bit(monkeypatch):
    pool = random_pool(3, 5, like_models=True)
    found = bits(merge("ties", pool, block_numbers=50))
    monkeypatch.setattr(order, "LEAST", 2**40)
    assert bits(merge("ties", pool)) == found
