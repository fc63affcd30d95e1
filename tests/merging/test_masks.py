"""Masking bits is what `where` does."""

import pytest
import torch

from negmerge.merging.signs import keep


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_kept_keeps_its_bits_and_the_rest_is_zero(dtype):
    special = [0.0, -0.0, 1.0, -1.0, float("inf"), -float("inf"), float("nan"), 1e-45]
    numbers = torch.tensor(special * 2, dtype=dtype)
    mask = torch.arange(16) < 8
    found, expected = keep(numbers, mask), numbers.where(mask, 0.0)
    assert found.numpy().tobytes() == expected.numpy().tobytes()
