"""Files of torch.save: mapped, old, strided, with more beside the state, and files that lie."""

import argparse
import datetime
import os
import pathlib
import re
import sys
import zipfile
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.torch_files import TorchFile
from negmerge.errors import UserError

WEIGHT = nn.Parameter(torch.arange(4.0).view(2, 2))
STATE = {
    "layer.weight": torch.arange(6.0).view(2, 3),
    "layer.half": torch.tensor([1.5, -2], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "none": torch.zeros(0, 3),
    # Parameters that share memory.
    **{"embed": WEIGHT, "head": WEIGHT, "row": WEIGHT[1]},
    # Numbers that do not lie in their order.
    "transposed": torch.arange(6.0).view(2, 3).T,
    "every second": torch.arange(10.0)[::2],
    "channels last": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
    "repeated": torch.arange(3.0).expand(4, 3),
}
NOTED = {
    "args": argparse.Namespace(lr=0.1, out=pathlib.Path("x")),
    "best": np.float64(93.5),
    "day": datetime.datetime(2026, 1, 1),
    "epoch": 3,
    "sizes": [torch.Size([3]), None],
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_file_is_known_by_its_content_and_read_in_parts(path, refused, old):
    torch.save(STATE | NOTED, path, _use_new_zipfile_serialization=not old)
    before, state = path.read_bytes(), open_state(path)
    assert isinstance(state, TorchFile)
    assert (state.files, state.metadata) == ([path], {})
    assert state.notes == [f"{path}: left out what is no tensor: args, best, day, epoch, sizes"]
    assert state.names == sorted(STATE)
    for name, tensor in STATE.items():
        flat = tensor.detach().reshape(-1)
        assert (state.dtype(name), state.shape(name)) == (tensor.dtype, tuple(tensor.shape))
        assert torch.equal(state[name], tensor.detach())
        part = state.numbers(name, 1, len(flat))
        assert torch.equal(part, flat[1:])
        assert not part.requires_grad
        assert state.place(name) is None
    state.numbers("layer.weight", 0, 6).zero_()
    assert path.read_bytes() == before
    path.rename(path.with_suffix(".safetensors"))
    assert refused(path.with_suffix(".safetensors")).endswith("rename it to state.pt")


class Call:
    """What pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "beside"])
def test_a_hostile_file_runs_nothing_and_is_refused_by_name(
    path, tmp_path, monkeypatch, refused, old, nested
):
    monkeypatch.chdir(tmp_path)
    trace = pathlib.Path("trace")
    calls = {
        "posix.system": Call(os.system, "touch trace"),
        "eval": Call(eval, "open('trace', 'w')"),
        # What may be named beside weights does nothing either.
        "getattr": Call(getattr, trace, "touch"),
    }
    for named, call in calls.items():
        content = STATE | {"x": call} if nested else call
        torch.save(content, path, _use_new_zipfile_serialization=not old)
        assert refused(path).startswith(f"{path}: holds the object {named}, expected tensors")
    torch.save(STATE | {"x": Call(pathlib.PosixPath, trace)}, path)
    assert open_state(path).names == sorted(STATE)
    assert not trace.exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_is_refused_with_a_way_out(path, refused):
    torch.jit.script(nn.Linear(2, 2)).save(str(path))
    message = refused(path)
    assert message.startswith(f"{path}: a TorchScript archive, which holds code; if you trust it")
    # The way out works.
    code = message.partition("save its weights: ")[2]
    exec(code.replace(repr(path.name), repr(str(path))).replace("'state.pt'", repr(str(path))))
    assert open_state(path).names == ["bias", "weight"]


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
def test_a_file_that_was_cut_is_refused(path, refused, old):
    torch.save({"w": torch.ones(500)}, path, _use_new_zipfile_serialization=not old)
    whole, state = path.read_bytes(), open_state(path)
    for size in (4, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refused(path).startswith(f"{path}: not a whole file of torch.save (")
    with pytest.raises(UserError, match="tensor 'w' ends too early"):
        state.numbers("w", 0, 5)


def test_objects_and_archives_of_others_are_refused_by_name(path, refused, monkeypatch):
    torch.save(nn.Linear(2, 2), path)
    message = f"{path}: holds the object torch.nn.modules.linear.Linear, expected tensors by name"
    assert refused(path).startswith(message)
    encoder = type("ImageEncoder", (), {"__module__": "src.modeling"})
    modules = {"src": ModuleType("src"), "src.modeling": ModuleType("src.modeling")}
    modules["src.modeling"].ImageEncoder = encoder
    with monkeypatch.context() as patch:
        for name, module in modules.items():
            patch.setitem(sys.modules, name, module)
        torch.save(encoder(), path)
    assert "`negmerge convert`" in refused(path)
    torch.save(STATE, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert refused(path).startswith(f"{path}: its numbers are packed")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", "numbers")
    assert refused(path).startswith(f"{path}: a zip archive, expected")


PLAIN = {"a.weight": torch.ones(2, 2), "a.steps": torch.tensor(3)}
EMA = {"a.weight": torch.zeros(2, 2), "a.steps": torch.tensor(3)}
WRONG = {
    "complex": (lambda: {"x": torch.ones(2, dtype=torch.complex64)}, "tensor 'x' .*complex64"),
    "sparse": (lambda: {"x": torch.eye(2).to_sparse()}, "tensor 'x' is torch.sparse_coo"),
    "on meta": (lambda: {"x": torch.empty(2, device="meta")}, "tensor 'x' is without numbers"),
    "quantised": (
        lambda: {"x": torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8)},
        "tensor 'x' is quantised",
    ),
    "a list": (lambda: [torch.ones(2)], "a list"),
    "a tensor": (lambda: torch.ones(2), "a Tensor"),
    "numbered": (lambda: {0: torch.ones(2)}, "a dict"),
    "several in one": (lambda: PLAIN | {"b": [torch.ones(2)]}, "'b' holds several tensors"),
    "several states": (
        lambda: {"checkpoint": {"model": PLAIN, "teacher": {"ema": EMA}}, "step": 1},
        r"--key: checkpoint/model \(2 tensors\), checkpoint/teacher/ema \(2 tensors\)$",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=WRONG)
def test_what_is_no_state_of_plain_arrays_is_named(path, refused, content, message):
    torch.save(content(), path)
    assert re.search(f"^{path}: .*{message}", refused(path))


def test_states_in_training_checkpoints_are_found_and_told_apart_by_key(path, refused):
    random, loss = torch.zeros(9).byte(), torch.tensor(0.1)
    torch.save({"epoch": 3, "loss": loss, "random": random, "any": PLAIN}, path)
    assert open_state(path).notes == [f"{path}: read from 'any'"]
    torch.save({"model": PLAIN, "teacher": {"ema": EMA}, "optimizer": {"state": EMA}}, path)
    assert open_state(path, "model")["a.weight"].sum() == 4
    assert open_state(path, "teacher/ema")["a.weight"].sum() == 0
    assert refused(path, "ema").startswith(f"{path}: unknown key 'ema'; ")
    # Of one state under two names there is nothing to choose, nor where a file is no more than one.
    torch.save({"model": PLAIN, "state_dict": PLAIN}, path)
    assert open_state(path).names == sorted(PLAIN)
    torch.save({f"module._orig_mod.{name}": tensor for name, tensor in PLAIN.items()}, path)
    state = open_state(path, "ema")
    assert state.names == sorted(PLAIN)
    assert state.notes == [f"{path}: dropped 'module._orig_mod.' from the names"]
