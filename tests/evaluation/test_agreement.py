"""The agreement of predictions among neighbours, against the definition computed item by item."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from negmerge.errors import UserError
from negmerge.evaluation.agreement import features_seen, neighbour_agreement


def definition(features, logits):
    """The score by loops, with the relative shortfalls of the authors' code."""
    (n, classes), k = logits.shape, max(1, logits.shape[0] // (2 * logits.shape[1]))
    predicted = [int(np.argmax(row)) for row in logits]
    unit = [row / np.linalg.norm(row) for row in features]
    same = 0
    for i in range(n):
        near = sorted((np.sum((unit[i] - unit[j]) ** 2), j) for j in range(n) if j != i)[:k]
        same += sum(predicted[j] == predicted[i] for _, j in near)
    shares = np.mean([np.exp(row) / np.exp(row).sum() for row in logits], axis=0)
    q = np.sum(shares**2)
    supported = sum(predicted.count(c) >= min(k + 1, max(3, k)) for c in range(classes))
    if supported < 2:
        return -1e6 - (2 - supported)
    few = max(0, classes - 1 / q) / classes
    return (same / (n * k) - q) / (1 - q) - few - (classes - supported) / classes


@given(st.integers(0, 10**6), st.integers(6, 60), st.integers(2, 4), st.sampled_from([0.1, 1, 20]))
def test_the_score_is_its_definition(seed, n, classes, scale):
    random = np.random.default_rng(seed)
    features, logits = random.normal(size=(n, 5)), scale * random.normal(size=(n, classes))
    own = neighbour_agreement(features, logits)
    assert own == pytest.approx(definition(features, logits), abs=1e-9)
    # Neither the length of a feature nor the order of the items counts.
    order = random.permutation(n)
    longer = features * random.uniform(0.1, 9, size=(n, 1))
    assert neighbour_agreement(longer[order], logits[order]) == pytest.approx(own, abs=1e-9)


def test_two_groups_that_are_told_apart_have_the_best_score_and_one_class_the_worst():
    features = np.repeat([[1.0, 0.0], [0.0, 1.0]], 10, axis=0)
    features += np.random.default_rng(0).normal(scale=0.01, size=features.shape)
    assert neighbour_agreement(features, 99 * features) == pytest.approx(1.0)
    assert neighbour_agreement(features, [[1.0, 0.0]] * 20) == -1e6 - 1


@pytest.mark.parametrize(
    ("features", "logits", "line"),
    [
        (np.ones((3, 2)), np.ones((2, 2)), r"features \[3, 2\] and logits \[2, 2\], expected"),
        (np.ones((2, 2)), np.full((2, 2), np.nan), "a feature or logit is NaN or infinite"),
    ],
)
def test_what_has_no_score_is_refused(features, logits, line):
    with pytest.raises(UserError, match=line):
        neighbour_agreement(features, logits)


def test_the_features_are_what_the_last_layer_reads():
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    batches = torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(0))
    with features_seen(model) as seen:
        for batch in batches:
            model(batch)
    model(batches[0])
    assert torch.equal(torch.cat(seen), model[1](model[0](batches.flatten(0, 1))))
