import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from negmerge import training
from negmerge.errors import UserError
from negmerge.recipe import Recipe
from negmerge.training import fit, learning_rate

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("peak", "warmup", "steps"),
    [
        ("1e-05", 500, 1000),
        ("1e-05", 500, 300),
        ("1e-05", 500, 501),
        ("1e-05", 10, 60),
        ("0.001", 0, 50),
    ],
)
def test_the_rate_is_the_official_one(golden, peak, warmup, steps):
    expected = golden("cosine_lr")[f"base{peak}_warm{warmup}_steps{steps}"]
    found = [learning_rate(step, float(peak), warmup, steps) for step in range(len(expected))]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.integers(0, 50), st.integers(1, 100))
def test_the_rate_rises_to_the_peak_and_falls(warmup, steps):
    rates = [learning_rate(step, 1.0, warmup, steps) for step in range(steps)]
    top = min(warmup, steps) - 1 if warmup else 0
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert max(rates) == pytest.approx(min(1, steps / max(warmup, 1)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_smoothed_labels_are_the_official_ones(golden, smoothing):
    # The project relies on torch's own label smoothing.
    file = golden("label_smoothing")
    logits, labels = torch.from_numpy(file["logits"]), torch.from_numpy(file["labels"])
    found = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(file[f"loss_s{smoothing}"]), rel=1e-6)


def data(batches=6, size=4):
    generator = torch.Generator().manual_seed(0)
    return [
        (torch.randn(size, 3, generator=generator), torch.randint(2, (size,), generator=generator))
        for _ in range(batches)
    ]


def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.0), nn.Linear(4, 2))


def train(net, batches, report=lambda line: None, **settings):
    recipe = Recipe(epochs=1, **{"learning_rate": 0.01, "warmup_steps": 2} | settings)

    def loss(images, labels):
        return functional.cross_entropy(net(images), labels)

    fit(net, batches, len(batches), loss, recipe, CPU, report)
    return net


def weights(net):
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()])


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_a_run_is_the_plain_loop(clip_norm):
    expected, batches = model(), data()
    optimiser = torch.optim.AdamW(expected.parameters(), lr=0.01, weight_decay=0.2)
    for step, (images, labels) in enumerate(batches):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, 0.01, 2, len(batches))
        optimiser.zero_grad()
        functional.cross_entropy(expected(images), labels).backward()
        if clip_norm:
            nn.utils.clip_grad_norm_(expected.parameters(), clip_norm)
        optimiser.step()
    found = train(model(), batches, weight_decay=0.2, clip_norm=clip_norm)
    assert torch.equal(weights(found), weights(expected))
    assert not torch.equal(weights(found), weights(model()))


def test_clipping_matters_in_that_test():
    loose, tight = (train(model(), data(), clip_norm=norm) for norm in (None, 0.01))
    assert not torch.equal(weights(loose), weights(tight))


def test_accumulated_batches_are_one_large_batch():
    small = data(batches=6, size=4)
    large = [
        (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]))
        for a, b in zip(small[::2], small[1::2], strict=True)
    ]
    one = train(model(), small, accumulation=2)
    other = train(model(), large)
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-4, atol=1e-6)


def test_a_rest_too_small_for_a_step_is_left_out():
    one = train(model(), data(6)[:5], accumulation=2)
    assert torch.equal(weights(one), weights(train(model(), data(6)[:4], accumulation=2)))
    with pytest.raises(UserError) as caught:
        train(model(), data(1), accumulation=2)
    assert str(caught.value) == ("1 batches in all epochs, but accumulation is 2: not one step")


def test_frozen_weights_stay_whatever_the_decay():
    net = model()
    net[0].requires_grad_(False)
    before = net[0].weight.clone()
    train(net, data(), weight_decay=10.0)
    assert torch.equal(net[0].weight, before)
    assert not torch.equal(net[2].weight, model()[2].weight)


def test_a_loss_that_is_not_finite_stops_the_run():
    batches = data()
    batches[-1][0][0, 0] = math.nan
    with pytest.raises(UserError) as caught:
        train(model(), batches)
    assert str(caught.value) == "step 6 of 6: the loss is nan; lower the rate"


def test_progress_is_reported_at_the_start_now_and_then_and_at_the_end(monkeypatch):
    clock = iter(range(1000))
    monkeypatch.setattr(training.time, "monotonic", lambda: next(clock))
    lines = []
    train(model(), data(12), lines.append)
    assert [line.split()[1] for line in lines] == ["1/12", "6/12", "11/12", "12/12"]
    assert lines[-1].endswith(" 0 s left")
    assert "loss" in lines[0]
    assert "images/s" in lines[0]
