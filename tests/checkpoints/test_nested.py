"""The state inside a training checkpoint."""

from collections import OrderedDict

import pytest
import torch

from negmerge.checkpoints.opening import open_state

STATE = {"a.weight": torch.ones(2, 2), "a.steps": torch.tensor(3)}
EMA = {"a.weight": torch.zeros(2, 2), "a.steps": torch.tensor(3)}


@pytest.fixture
def saved(tmp_path):
    """A function that saves what it is given, and gives the path."""

    def saved(content):
        torch.save(content, tmp_path / "file.pt")
        return tmp_path / "file.pt"

    return saved


@pytest.mark.parametrize("key", ["state_dict", "any"])
def test_the_only_state_is_found(saved, key):
    path = saved(
        {"epoch": 3, "loss": torch.tensor(0.1), "random": torch.zeros(9).byte(), key: STATE}
    )
    state = open_state(path)
    assert state.names == sorted(STATE)
    assert state.notes == [f"{path}: read from {key!r}"]


def test_states_at_any_depth_are_told_apart_by_key(saved, refused):
    path = saved({"checkpoint": {"model": STATE, "teacher": {"ema": EMA}}, "step": 1})
    assert refused(path).endswith(
        "--key: checkpoint/model (2 tensors), checkpoint/teacher/ema (2 tensors)"
    )
    assert open_state(path, "checkpoint/model")["a.weight"].sum() == 4
    assert open_state(path, "checkpoint/teacher/ema")["a.weight"].sum() == 0
    assert refused(path, "ema").startswith(f"{path}: unknown key 'ema'; ")
    # Of one state under two names there is nothing to choose, nor where a file is no more than one.
    assert open_state(saved({"model": STATE, "state_dict": STATE})).names == sorted(STATE)
    assert open_state(saved(STATE), "ema").names == sorted(STATE)


@pytest.mark.parametrize("prefix", ["module.", "module._orig_mod."])
def test_prefixes_that_all_names_have_are_dropped(saved, prefix):
    path = saved(OrderedDict((f"{prefix}{name}", tensor) for name, tensor in STATE.items()))
    state = open_state(path)
    assert state.names == sorted(STATE)
    assert state.notes == [f"{path}: dropped {prefix!r} from the names"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ([torch.ones(2)], "list"),
        (torch.ones(2), "Tensor"),
        ({}, "dict"),
        ({0: torch.ones(2)}, "dict"),
        ({**STATE, "betas": [torch.ones(2)]}, "'betas' holds several tensors"),
    ],
    ids=["list", "tensor", "empty", "numbered", "list beside others"],
)
def test_a_file_without_a_state_is_refused(saved, refused, content, kind):
    path = saved(content)
    assert refused(path).startswith(f"{path}: ")
    assert kind in refused(path)
