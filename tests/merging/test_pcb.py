"""PCB-Merging against its formulas, written down for vectors that fit into memory."""

import pytest
import torch

from merge_examples import flat, random_pool, rows
from negmerge.merging import merge


def restated(vectors, ratio=0.1, clip=0.0001):
    """The formulas of the paper's code, for a matrix of vectors."""
    count, d = vectors.shape

    def between(numbers, low, high):
        ordered = numbers.sort(dim=1).values
        return numbers.clamp(ordered[:, [low]], ordered[:, [high]])

    def normalised(numbers):
        low, high = numbers.amin(1, keepdim=True), numbers.amax(1, keepdim=True)
        return (numbers - low) / (high - low)

    magnitudes = between(vectors.abs(), int(d * clip), int(d * (1 - clip) - 1))
    inside = torch.exp(count * normalised(magnitudes) ** 2)
    across = torch.tanh(vectors * vectors.sum(0))
    weights = normalised(between(inside * across, int(d * (1 - ratio)), d - 1))
    return (vectors.sign() * magnitudes * weights).sum(0) / weights.sum(0).clamp(min=1e-12)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("options", [{}, {"ratio": 0.3}, {"ratio": 0.05, "clip": 0.02}])
@pytest.mark.parametrize("like_models", [True, False])
def test_it_is_the_formulas(count, options, like_models):
    for seed in range(2):
        wide = random_pool(seed, count, like_models=like_models, dtype=torch.float64)
        expected = restated(flat(wide), **options)
        merged = flat([merge("pcb", wide, **options)])[0]
        torch.testing.assert_close(merged, expected, rtol=1e-9, atol=0)
        assert 0 < merged.count_nonzero() < merged.numel()

        pool = [{name: t.float() for name, t in vector.items()} for vector in wide]
        merged = flat([merge("pcb", pool, **options)])[0]
        expected = restated(flat(pool), **options)
        assert merged.dtype == torch.float32
        assert torch.equal(merged == 0, expected == 0)
        torch.testing.assert_close(merged, expected, rtol=1e-5, atol=1e-5 * expected.abs().max())


def test_pools_too_large_for_the_official_exponential_are_merged():
    pool = random_pool(1, 100, like_models=True)
    assert restated(flat(pool)).isnan().any()
    merged = flat([merge("pcb", pool)])[0]
    expected = restated(flat(pool).double()).float()
    torch.testing.assert_close(merged, expected, rtol=1e-3, atol=1e-5 * expected.abs().max())


def test_equal_limits_are_not_divided_by():
    assert restated(torch.tensor([[1.0, -1.0]])).isnan().all()
    assert merge("pcb", rows([1.0, -1.0]))["w"].tolist() == [1, -1]
    assert merge("pcb", rows([2.0]))["w"].tolist() == [2]
    assert merge("pcb", rows([0.0, 0]))["w"].tolist() == [0, 0]
