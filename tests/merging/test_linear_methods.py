import pytest
import torch

from negmerge.merging import METHODS, merge

LINEAR = [name for name in METHODS if METHODS[name].weights is not None]


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_linear_method_is_the_sum_that_it_declares(name, count):
    generator = torch.Generator().manual_seed(count)
    vectors = [{"w": torch.randn(6, 7, generator=generator)} for _ in range(count)]
    weights = METHODS[name].weights(count)
    expected = sum(weight * vector["w"] for weight, vector in zip(weights, vectors, strict=True))
    torch.testing.assert_close(merge(name, vectors)["w"], expected)


def test_the_mean_is_linear_and_consensus_is_not():
    assert "uniform" in LINEAR
    assert "negmerge" not in LINEAR
