"""Rounding weights, against plain numpy code that goes through them number by number."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn

from negmerge.evaluation.durability import (
    NF4,
    rounded,
    rounded_names,
    survival,
)

FORMS = ("int8", "int4", "nf4")
SHAPES = ((5, 12), (3, 7), (4, 3, 3, 3), (2, 1, 5, 5), (1, 1))


def weights(shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def plain(found, form, group_size):
    """The same in loops, in float64."""
    array = found.double().numpy().reshape(len(found), -1)
    result = np.empty_like(array)
    for row in range(len(array)):
        for start in range(0, array.shape[1], group_size):
            group = array[row, start : start + group_size]
            largest = max(abs(group))
            for place, number in enumerate(group, start):
                if largest == 0:
                    nearest = 0.0
                elif form == "nf4":
                    nearest = min(NF4, key=lambda value: abs(value * largest - number)) * largest
                else:
                    step = largest / (2 ** (int(form[3:]) - 1) - 1)
                    nearest = round(number / step) * step
                result[row, place] = nearest
    return result.reshape(found.shape)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("group_size", [1, 4, 1000])
def test_each_number_is_the_nearest_of_its_group(form, shape, group_size):
    found = weights(shape)
    expected = plain(found, form, group_size)
    assert rounded(found, form, group_size).numpy() == pytest.approx(expected, abs=1e-6)


def test_no_error_is_larger_than_half_a_step():
    found = weights((8, 50), seed=1)
    for form, largest in (("int8", 127), ("int4", 7)):
        error = (rounded(found, form, 25) - found).abs()
        half = found.reshape(8, 2, 25).abs().amax(dim=2).repeat_interleave(25, dim=1) / largest / 2
        assert (error <= half * (1 + 1e-5)).all()
        assert (error > 0.9 * half).any()


def test_the_values_of_nf4_are_quantiles_of_a_normal_distribution():
    """As bitsandbytes makes them: eight above 0, seven below, and 0."""
    offset = 0.9677083
    above = norm.ppf(np.linspace(offset, 0.5, 9)[:-1])
    below = -norm.ppf(np.linspace(offset, 0.5, 8)[:-1])
    expected = np.sort([*above, 0.0, *below]) / above.max()
    assert list(NF4) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["int8", "int4"])
def test_survival_counts_what_loops_count(form):
    before = weights((6, 20), seed=3)
    after = before - 0.05 * weights((6, 20), seed=4) * (weights((6, 20), seed=5) > 0)
    largest = {"int8": 127, "int4": 7}[form]
    expected = {"changed": 0, "large": 0, "moved": 0, "change": 0.0, "large_change": 0.0}
    for row in range(6):
        for column in range(20):
            change = abs(after[row, column].item() - before[row, column].item())
            if change == 0:
                continue
            start = column // 8 * 8
            step = before[row, start : min(start + 8, 20)].abs().max().item() / largest
            expected["changed"] += 1
            expected["change"] += change
            steps = [round(one[row, column].item() / step) for one in (before, after)]
            expected["moved"] += steps[0] != steps[1]
            if change >= step / 2:
                expected["large"] += 1
                expected["large_change"] += change
    found = survival(before, after, form, 8)
    for key, value in expected.items():
        assert getattr(found, key) == pytest.approx(value, rel=1e-5), key
    assert 0 < found.large < found.changed == (before != after).sum()
    assert 0 < found.moved < found.changed


def test_matrices_and_convolutions_are_rounded_and_nothing_else():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(10, 4)
            self.conv = nn.Conv2d(3, 4, 3)
            self.norm = nn.BatchNorm2d(4)
            self.attention = nn.MultiheadAttention(4, 2)
            self.last = nn.Linear(4, 2)
            self.head = nn.Linear(4, 10, bias=False)
            self.head.weight = self.tokens.weight
            self.proj = nn.Parameter(torch.zeros(4, 4))

    names = ["conv.weight", "attention.in_proj_weight", "attention.out_proj.weight", "last.weight"]
    assert rounded_names(Network()) == names
