"""A training run that is cut off goes on from its saved state to the same numbers."""

import math
import multiprocessing
import os
import signal
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from training_run import PLAIN_SGD, SGD, Killed, assert_same, train, undisturbed

from negmerge.errors import UserError
from negmerge.jobs import resuming
from negmerge.jobs.resuming import SavedState
from negmerge.settings.compute import Compute


@pytest.fixture
def lines():
    return []


@pytest.fixture
def start(tmp_path, lines, monkeypatch):
    """A function that gives the saved state as a new process does; it is saved in each step."""
    monkeypatch.setattr(resuming, "RATIO", 0.0)

    def start(run="a", seconds=0.0, path=tmp_path / ".m1.state.pt"):
        lines.clear()
        return SavedState(path, run, seconds, lines.append)

    return start


@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("optimizer", [{}, SGD, PLAIN_SGD], ids=["adamw", "nesterov", "sgd"])
def test_killed_in_any_step_it_ends_with_the_same_numbers(start, lines, optimizer, accumulation):
    settings = optimizer | {"grad_accum_steps": accumulation}
    steps = 9 // accumulation
    for step in range(1, steps + 1):
        with pytest.raises(Killed):
            train(start(), during=step, **settings)
        saved = start()
        assert_same(train(saved, **settings), settings)
        went_on = [f"continuing after step {step - 1} of {steps}, saved in {saved.path}"]
        assert lines == (went_on if step > 1 else [])
        saved.remove()


def test_the_steps_of_that_run_differ():
    for change in ({"epochs": 2}, {"grad_accum_steps": 2}, SGD, PLAIN_SGD):
        other = undisturbed(tuple(change.items()))
        assert not torch.equal(other["0.weight"], undisturbed()["0.weight"])


@pytest.mark.parametrize(
    "change", [{"precision": "bf16"}, {"channels_last": True}, {"fused": True}]
)
def test_in_any_way_to_compute_it_ends_with_the_same_numbers(start, lines, change):
    settings = {"compute": Compute(**change)}
    with pytest.raises(Killed):
        train(start(), during=4, **settings)
    assert_same(train(start(), **settings), settings)
    assert lines[0].startswith("continuing after step 3 of 9")


def test_killed_again_and_again_it_ends_with_the_same_numbers(start, lines):
    for done in range(8):
        with pytest.raises(Killed):
            train(start(), during=2)
        assert (f"after step {done} of 9" in "".join(lines)) == (done > 0)
    assert_same(train(start()))


def end_all():
    """End the job and all its processes, as a scheduler does."""
    for process in [*multiprocessing.active_children()]:
        os.kill(process.pid, signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("loaders", [0, 2])
def test_a_signal_saves_at_once_whatever_the_time(start, lines, loaders):
    saved = start(seconds=math.inf)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(UserError) as caught:
        train(saved, end_all, during=4, loaders=loaders)
    assert str(caught.value) == (
        "stopped by SIGTERM after step 4 of 9; its state is saved, run again to continue"
    )
    assert signal.getsignal(signal.SIGTERM) == before
    assert_same(train(start(), loaders=loaders))
    assert lines == [f"continuing after step 4 of 9, saved in {saved.path}"]


def test_stopped_in_the_last_step_it_has_nothing_to_do(start):
    with pytest.raises(UserError, match=r"^stopped by SIGINT after step 9 of 9; its state is"):
        train(start(), lambda: signal.raise_signal(signal.SIGINT), during=9)
    assert_same(train(start(), during=1))


def test_a_signal_after_the_last_step_acts_as_ever(start):
    saved, seen = start(), []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with saved.watching():
            signal.raise_signal(signal.SIGTERM)
            assert seen == []
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


def test_without_a_place_for_the_state_the_run_goes_on(start, lines, tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / ".m1.state.pt"
    assert_same(train(start(path=path)))
    assert lines == [f"the state is not saved: {path}: cannot be written: File exists"] * 8
    with pytest.raises(UserError, match=r"^stopped by SIGTERM after step 3 of 9; run again$"):
        train(start(path=path), lambda: signal.raise_signal(signal.SIGTERM), during=3)


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
    "change",
    [
        {"params": {"recipe": {"epochs": 3}, "seed": 1}},
        {"params": {"recipe": {"epochs": 2}, "seed": 2}},
        {"inputs": {"base": "f00"}},
        {"version": "0.1"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_params_inputs_and_versions_decide_the_run_of_a_job(tmp_path, monkeypatch, change):
    case = {"params": {"recipe": {"epochs": 2}, "seed": 1}, "inputs": {}, "version": "0.2"}

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


def truncated(path):
    path.write_bytes(path.read_bytes()[:-100])


def of_another_format(path):
    save_file({"done": torch.ones(1)}, path)


def of_something_else(path):
    torch.save([torch.ones(1)], path)


@pytest.mark.parametrize("spoil", [truncated, of_another_format, of_something_else, None])
def test_a_state_that_is_damaged_or_of_another_run_is_not_used(start, lines, spoil):
    with pytest.raises(Killed):
        train(start(), during=4)
    saved = start("a" if spoil else "another run")
    if spoil:
        spoil(saved.path)
    assert_same(train(saved))
    (line,) = lines
    assert "\n" not in line
    assert line.startswith(f"the saved state is not used, training starts anew: {saved.path}: ")
