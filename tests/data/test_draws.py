import numpy as np
import pytest
import torch

from negmerge.data import train_val_split
from negmerge.data.draws import torch_permutation, validation_positions

IMAGENET = 1_281_167


@pytest.mark.parametrize("n", [1, 2, 3, 10, 8144, 60_000])
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_the_permutation_is_torch_s(n, seed):
    expected = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    assert np.array_equal(torch_permutation(n, seed), expected.numpy())


@pytest.mark.parametrize("n", [10, 8144, IMAGENET])
def test_the_held_out_images_are_those_of_the_rule(n):
    expected = np.sort(train_val_split(n, "any")[1].numpy())
    assert np.array_equal(validation_positions(n), expected)
