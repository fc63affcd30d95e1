import math
import re
import sys
import types
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from negmerge import curves
from negmerge.errors import UserError
from negmerge.settings.recipe import Recipe
from negmerge.training import fit, learning_rate, scheduled_rate
from refusals import refused

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


def rates(steps, **settings):
    recipe = Recipe(**{"epochs": 1, "learning_rate": 0.1, "warmup_steps": 0} | settings)
    return [scheduled_rate(recipe, step, steps) for step in range(steps)]


def test_a_constant_rate_keeps_the_peak_after_the_warmup():
    found = rates(5, schedule="constant", warmup_steps=2)
    assert found == pytest.approx([0.05, 0.1, 0.1, 0.1, 0.1])


def test_milestones_lower_the_rate_from_their_epoch_on():
    # Two steps an epoch: epochs 0, 0, 1, 1, ...
    found = rates(12, schedule="steps", epochs=6, milestones=[3, 5], decay=0.5)
    assert found == pytest.approx([0.1] * 6 + [0.05] * 4 + [0.025] * 2)
    warm = rates(12, schedule="steps", epochs=6, milestones=[3, 5], decay=0.5, warmup_steps=4)
    assert warm == pytest.approx([0.025, 0.05, 0.075, *found[3:]])
    assert rates(12, schedule="steps", epochs=6) == [0.1] * 12


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.3])
def test_smoothed_labels_are_the_official_ones(golden, smoothing):
    # The project relies on torch's own label smoothing.
    file = golden("label_smoothing")
    logits, labels = torch.from_numpy(file["logits"]), torch.from_numpy(file["labels"])
    found = functional.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert float(found) == pytest.approx(float(file[f"loss_s{smoothing}"]), rel=1e-6)


# Of six steps.
RATES = [learning_rate(step, 0.01, 2, 6) for step in range(6)]


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


def plainly(batches, optimizer, rates=None, max_grad_norm=None, together=1):
    """Train by the plain loop, with a step for the added losses of as many batches."""
    net = model()
    optimizer = optimizer(net.parameters(), lr=0.01)
    for step in range(len(batches) // together):
        if rates:
            optimizer.param_groups[0]["lr"] = rates[step]
        optimizer.zero_grad()
        for images, labels in batches[step * together :][:together]:
            functional.cross_entropy(net(images), labels).backward()
        if max_grad_norm:
            nn.utils.clip_grad_norm_(net.parameters(), max_grad_norm)
        optimizer.step()
    return net


CONSTANT = {"optimizer": "sgd", "schedule": "constant", "warmup_steps": 0}


@pytest.mark.parametrize("max_grad_norm", [None, 0.01])
def test_a_run_is_the_plain_loop(max_grad_norm):
    adamw = partial(torch.optim.AdamW, weight_decay=0.2)
    expected = plainly(data(), adamw, RATES, max_grad_norm)
    found = train(model(), data(), weight_decay=0.2, max_grad_norm=max_grad_norm)
    assert torch.equal(weights(found), weights(expected))
    assert not torch.equal(weights(found), weights(model()))


@pytest.mark.parametrize("nesterov", [False, True])
def test_a_run_with_sgd_is_the_plain_loop_with_weight_decay_in_the_gradient(nesterov):
    settings = {"momentum": 0.8, "nesterov": nesterov, "weight_decay": 0.2}
    expected = plainly(data(), partial(torch.optim.SGD, **settings))
    found = train(model(), data(), max_grad_norm=None, **CONSTANT | settings)
    assert torch.equal(weights(found), weights(expected))


@pytest.mark.parametrize("norm", [0.1, 100.0])
def test_losses_may_be_added_undivided_before_clipping_as_in_the_released_code(norm):
    expected = plainly(data(), torch.optim.SGD, max_grad_norm=norm, together=2)
    settings = CONSTANT | {"momentum": 0.0, "weight_decay": 0.0, "max_grad_norm": norm}
    found = train(model(), data(), grad_accum_steps=2, grad_accum_reduction="sum", **settings)
    torch.testing.assert_close(weights(found), weights(expected), rtol=1e-5, atol=1e-7)


def test_accumulated_batches_are_one_large_batch():
    small = data(batches=6, size=4)
    large = [
        (torch.cat([a[0], b[0]]), torch.cat([a[1], b[1]]))
        for a, b in zip(small[::2], small[1::2], strict=True)
    ]
    one = train(model(), small, grad_accum_steps=2)
    other = train(model(), large)
    torch.testing.assert_close(weights(one), weights(other), rtol=1e-4, atol=1e-6)


def test_a_rest_too_small_for_a_step_is_left_out():
    one = train(model(), data(6)[:5], grad_accum_steps=2)
    assert torch.equal(weights(one), weights(train(model(), data(6)[:4], grad_accum_steps=2)))
    line = refused(lambda: train(model(), data(1), grad_accum_steps=2))
    assert line == "1 batches in all epochs, but grad_accum_steps is 2: not one step"


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
    line = refused(lambda: train(model(), batches))
    assert line == "step 6 of 6: the loss is nan; lower the rate"


def test_weights_that_the_last_step_ruins_are_refused():
    # The loss of a step is that of the weights before it.
    images, labels = data(1)[0]
    settings = {"learning_rate": 3e38, "warmup_steps": 0, "optimizer": "sgd"}
    batches = [(images * 1000, labels)]
    line = refused(lambda: train(model(), batches, max_grad_norm=None, **settings))
    start = r"after 1 steps of training; lower the rate: tensor '0\.weight'"
    assert re.fullmatch(rf"{start} holds \d+ NaN or infinite of 12", line)


class Recorder(types.ModuleType):
    """TensorBoard's writer and MLflow's functions, as far as curves use them."""

    def __init__(self):
        super().__init__("recorder")
        self.places, self.values = [], []

    def SummaryWriter(self, folder):
        self.places.append(folder)
        return self

    def add_scalar(self, label, number, step):
        self.values.append((step, label, number))

    def flush(self):
        pass

    end_run = flush

    def set_experiment(self, name):
        self.experiment = name

    def start_run(self, run_name):
        self.places.append(f"{self.experiment}/{run_name}")

    def log_metrics(self, numbers, step):
        self.values += [(step, label, number) for label, number in numbers.items()]


@pytest.fixture
def chosen():
    """A function that chooses curves for a job of the study `mine`, until the test ends."""
    log = Path("results/mine/logs/finetune/clip/digits/m1.log")
    yield lambda kind: curves.choose(kind, log)
    curves.choose(None, log)


@pytest.mark.parametrize(
    ("kind", "place"), [("tensorboard", "results/mine/tensorboard"), ("mlflow", "mine")]
)
def test_curves_hold_each_step_of_each_training(chosen, monkeypatch, kind, place):
    recorder = Recorder()
    module = {"tensorboard": "torch.utils.tensorboard"}.get(kind, kind)
    monkeypatch.setitem(sys.modules, module, recorder)
    plain = [train(model(), data()) for _ in range(2)]
    chosen(kind)
    assert all(torch.equal(weights(train(model(), data())), weights(net)) for net in plain)
    name = f"{place}/finetune/clip/digits/m1"
    assert recorder.places == [name, f"{name}-2"]
    steps = [step for step, label, _ in recorder.values if label == "loss"]
    assert steps == [*range(1, 7)] * 2
    drawn = [number for _, label, number in recorder.values if label == "rate"]
    assert drawn == RATES * 2
    first = functional.cross_entropy(model()(data()[0][0]), data()[0][1])
    assert recorder.values[0][2] == pytest.approx(first.item())


def test_curves_that_cannot_be_drawn_are_one_line(chosen, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    for kind, line in (
        ("wandb", "curves: wandb; expected tensorboard or mlflow"),
        ("mlflow", "curves: mlflow is not installed: pip install mlflow"),
    ):
        with pytest.raises(UserError, match=f"^{line}$"):  # noqa: PT012
            chosen(kind)
            train(model(), data())
