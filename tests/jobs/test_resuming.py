"""A training run that is cut off goes on from its saved state to the same numbers."""

import math
import multiprocessing
import os
import signal
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from negmerge.data.augmentation import training_transform
from negmerge.data.loading import TrainingBatches
from negmerge.errors import UserError
from negmerge.jobs import resuming
from negmerge.jobs.resuming import SavedState
from negmerge.models.devices import tuned
from negmerge.settings.compute import Compute
from negmerge.settings.recipe import Augmentation, Recipe
from negmerge.training import fit

CPU = torch.device("cpu")
RANDOM = Augmentation(crop_scale=None, padding=1, flip=0.5)
TRANSFORM = training_transform(RANDOM, 8, (0.5,) * 3, (0.5,) * 3)
SGD = {"optimizer": "sgd", "momentum": 0.9, "nesterov": True}


PIXELS = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 3), np.uint8)
IMAGES = [(Image.fromarray(pixels), number % 4) for number, pixels in enumerate(PIXELS)]


class Killed(BaseException):
    """As if the power was cut."""


def power_cut():
    raise Killed


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.3), nn.Flatten(), nn.Linear(144, 4)
    )


def train(saved, stop=power_cut, during=math.inf, compute=None, loaders=0, **settings):
    """Train to the end, or until `stop` is called in the loss of a step of this start."""
    compute = compute or Compute()
    recipe = Recipe(**{"epochs": 3, "batch_size": 4, "learning_rate": 0.05} | settings)
    net, noise, calls = tuned(network(), compute), torch.Generator().manual_seed(3), 0

    def loss(images, labels):
        nonlocal calls
        calls += 1
        if calls == during * recipe.grad_accum_steps:
            stop()
        weights = torch.rand(len(labels), generator=noise)
        return (functional.cross_entropy(net(images), labels, reduction="none") * weights).mean()

    batches = TrainingBatches(IMAGES, TRANSFORM, recipe, 5, loaders=loaders)
    named = {"seed": 7, "generators": [noise], "saved": saved, "fused": compute.fused}
    fit(net, batches, len(batches), loss, recipe, CPU, lambda line: None, **named)
    return net.state_dict() | {"noise": noise.get_state()}


@cache
def undisturbed(settings=()):
    return train(None, **dict(settings))


def assert_same(found, settings=()):
    expected = undisturbed(tuple(settings.items()) if settings else ())
    assert found.keys() == expected.keys()
    assert [name for name in expected if not torch.equal(found[name], expected[name])] == []


@pytest.fixture
def lines():
    return []


@pytest.fixture
def start(tmp_path, lines, monkeypatch):
    """A function that gives the saved state as a new process does; it is saved in each step."""
    monkeypatch.setattr(resuming, "RATIO", 0.0)
    monkeypatch.setattr(resuming, "print", lines.append, raising=False)

    def start(run="a", seconds=0.0, path=tmp_path / ".m1.state.pt"):
        lines.clear()
        monkeypatch.setattr(resuming, "SECONDS", seconds)
        return SavedState(path, run)

    return start


@pytest.mark.parametrize(
    "settings",
    [{}, SGD | {"grad_accum_steps": 2}, {"compute": Compute(precision="bf16", fused=True)}],
    ids=["adamw", "sgd", "compute"],
)
def test_killed_in_any_step_it_ends_with_the_same_numbers(start, lines, settings):
    steps = 9 // settings.get("grad_accum_steps", 1)
    for step in range(1, steps + 1):
        with pytest.raises(Killed):
            train(start(), during=step, **settings)
        saved = start()
        assert_same(train(saved, **settings), settings)
        went_on = [f"continuing after step {step - 1} of {steps}, saved in {saved.path}"]
        assert lines == (went_on if step > 1 else [])
        saved.remove()


def end_all():
    """End the job and all its processes, as a scheduler does."""
    for process in [*multiprocessing.active_children()]:
        os.kill(process.pid, signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_signal_saves_at_once_whatever_the_time(start, lines, loaders):
    saved = start(seconds=math.inf)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError, match=r"^stopped by SIGTERM after step 4 of 9; "):
        train(saved, end_all, during=4, loaders=loaders)
    assert signal.getsignal(signal.SIGTERM) == before
    assert_same(train(start(), loaders=loaders))
    assert lines == [f"continuing after step 4 of 9, saved in {saved.path}"]


def test_without_a_place_for_the_state_the_run_goes_on(start, lines, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / ".m1.state.pt"
    assert_same(train(start(path=path)))
    assert lines == [f"the state is not saved: {path}: cannot be written: File exists"] * 8


def test_states_are_saved_now_and_then_and_take_a_small_share_of_the_time(start, monkeypatch):
    now, steps = 0.0, []
    monkeypatch.setattr(resuming, "RATIO", 40.0)
    monkeypatch.setattr(resuming.time, "monotonic", lambda: now)

    def write(state, path):
        nonlocal now
        now += 2 if state["done"] > 200 else 0
        steps.append(state["done"])
        torch.serialization.save("", path)

    monkeypatch.setattr(resuming, "torch", SimpleNamespace(save=write))
    saved = start(seconds=10)
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(1))])
    training = resuming.TrainingState(nn.Linear(1, 1), optimizer)
    for step in range(1, 501):
        now += 0.5
        saved.after_step(training, step, 500)
    # Every 10 s; then 2 s each, so every 80 s.
    assert steps == [20 * n for n in range(1, 11)] + [220, 380]


def test_the_state_is_removed_with_what_killed_processes_left(start, tmp_path):
    saved = start()
    others = {tmp_path / name for name in ("m1.safetensors", ".m10.state.pt")}
    left = tmp_path / "..m1.state.pt.123.partial"
    for path in (saved.path, left, *others):
        path.touch()
    saved.remove()
    assert set(tmp_path.iterdir()) == others
    saved.remove()


@pytest.mark.parametrize(
    "change", [{"params": {"seed": 2}}, {"inputs": {"base": "f00"}}, {"version": "0.1"}]
)
def test_params_inputs_and_versions_decide_the_run_of_a_job(tmp_path, monkeypatch, change):
    case = {"params": {"seed": 1}, "inputs": {}, "version": "0.2"}

    def train_job(case, **named):
        monkeypatch.setattr("importlib.metadata.version", lambda name: case["version"])
        job = SimpleNamespace(params=case["params"], output=[tmp_path / "m1.safetensors"])
        return train(SavedState.of_job(job, case["inputs"]), **named)

    with pytest.raises(UserError, match="after step 4 of 9"):
        train_job(case, stop=lambda: signal.raise_signal(signal.SIGTERM), during=4)
    assert (tmp_path / ".m1.state.pt").exists()
    # Of five more steps one is the last, of nine more steps not.
    with pytest.raises(Killed):
        train_job(case | change, during=6)
    # On another processor, with other loaders, the run goes on.
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "another")
    assert_same(train_job(case, during=6, loaders=1))


@pytest.mark.parametrize("damage", ["truncated", "another format", "another run"])
def test_a_state_that_is_damaged_or_of_another_run_is_not_used(start, lines, damage):
    with pytest.raises(Killed):
        train(start(), during=4)
    saved = start("another run" if damage == "another run" else "a")
    if damage == "truncated":
        saved.path.write_bytes(saved.path.read_bytes()[:-100])
    elif damage == "another format":
        torch.save([torch.ones(1)], saved.path)
    assert_same(train(saved))
    (line,) = lines
    assert "\n" not in line
    assert line.startswith(f"the saved state is not used, training starts anew: {saved.path}: ")
