"""Models that are rounded or taught again, and the ratios that say whether forgetting lasts."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from torch import nn

from negmerge.evaluation.accuracy import accuracy, relearn_epochs
from negmerge.evaluation.durability import (
    likeness,
    likeness_of_gains,
    relearning_ratio,
    rounding_ratio,
)
from negmerge.evaluation.rounding import NF4, rounded, rounded_names, survival

SHARES = st.floats(0, 1)


def of_rounding(before, after):
    """In plain words; None where it is not defined."""
    if after == 0:
        return None if before == 0 else 1.0
    return min(before / after, 1.0)


def of_relearning(before, after, never_before, never_after):
    gain, first = after - before, never_after - never_before
    return min(first / gain, 1.0) if gain > 0 and first >= 0 else None


def same(found, expected):
    return math.isnan(found) if expected is None else found == pytest.approx(expected)


def test_likeness_asks_for_no_direction():
    assert likeness(0.2, 0.6) == likeness(0.6, 0.2) == pytest.approx(0.5)
    assert likeness(0.3, 0.3) == 1
    assert likeness(0.3, 0.0) == 0
    assert likeness(0.3, -0.1) == pytest.approx(0)
    assert math.isnan(likeness(0.0, 0.0))
    assert likeness_of_gains(0.5, 0.9, 0.4, 0.5) == pytest.approx(1 - 0.3 / 0.5)


@given(st.lists(st.tuples(SHARES, SHARES, SHARES, SHARES), min_size=1, max_size=5))
def test_arrays_are_computed_number_by_number(several):
    before, after, *_ = np.array(several).T
    ratios = rounding_ratio(before, after), relearning_ratio(*np.array(several).T)
    for number, (b, a, nb, na) in enumerate(several):
        assert same(ratios[0][number], of_rounding(b, a))
        assert same(ratios[1][number], of_relearning(b, a, nb, na))
    for result in (*ratios, likeness(before, after)):
        known = result[~np.isnan(result)]
        assert ((known >= 0) & (known <= 1)).all()


CPU = torch.device("cpu")
IMAGES = torch.eye(6)
LABELS = torch.tensor([0, 1, 2, 0, 1, 2])
BATCHES = [(IMAGES[:4], LABELS[:4]), (IMAGES[4:], LABELS[4:])]


def network():
    """A linear network that takes everything for class 0: two of six are right."""
    layer = nn.Linear(6, 3)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    return layer


def relearn(target, epochs=50, rate=0.2, model=None):
    return relearn_epochs(
        model or network(), (BATCHES for _ in range(epochs)), BATCHES, target, rate, CPU
    )


def test_epochs_are_counted_until_the_target_is_reached():
    needed = relearn(6)
    assert needed is not None
    assert needed > 1
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for epoch in range(1, needed + 1):
        for images, labels in BATCHES:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
        right = accuracy(model, None, BATCHES, CPU).correct
        assert (right >= 6) == (epoch == needed)


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
@pytest.mark.parametrize("group_size", [1, 4, 1000])
def test_each_number_is_the_nearest_of_its_group(form, group_size):
    for shape in SHAPES:
        expected = plain(weights(shape), form, group_size)
        values = rounded(weights(shape), form, group_size).numpy()
        assert values == pytest.approx(expected, abs=1e-6), shape


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
    counts = survival(before, after, form, 8)
    for key, value in expected.items():
        assert getattr(counts, key) == pytest.approx(value, rel=1e-5), key
    assert 0 < counts.large < counts.changed == (before != after).sum()
    assert 0 < counts.moved < counts.changed


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
