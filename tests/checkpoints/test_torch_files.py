"""Files of torch.save: mapped, packed, old, strided, and files that lie."""

import sys
import zipfile
from collections import OrderedDict
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import nn

from negmerge.checkpoints.opening import open_state
from negmerge.checkpoints.torch_files import TorchFile
from negmerge.errors import UserError

STATE = {
    "layer.weight": torch.arange(6.0).view(2, 3),
    "layer.half": torch.tensor([1.5, -2], dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "none": torch.zeros(0, 3),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state.pt"


def same(state, expected=STATE):
    """Whether a state on disk holds what is expected, whole and in parts."""
    assert state.names == sorted(expected)
    for name, tensor in expected.items():
        flat = tensor.detach().reshape(-1)
        assert (state.dtype(name), state.shape(name)) == (tensor.dtype, tuple(tensor.shape))
        assert torch.equal(state[name], tensor.detach())
        assert torch.equal(state.numbers(name, 1, len(flat)), flat[1:])
        assert state.place(name) is None
    return True


@pytest.mark.parametrize("old", [False, True])
def test_a_file_is_known_by_its_content(tmp_path, refused, old):
    torch.save(STATE, tmp_path / "a", _use_new_zipfile_serialization=not old)
    state = open_state(tmp_path / "a")
    assert isinstance(state, TorchFile)
    assert same(state)
    assert (state.files, state.metadata, state.notes) == ([tmp_path / "a"], {}, [])
    (tmp_path / "a").rename(tmp_path / "a.safetensors")
    assert refused(tmp_path / "a.safetensors").endswith("rename it to a.pt")


def test_parameters_and_shared_memory_are_read_as_plain_tensors(path):
    weight = nn.Parameter(torch.arange(4.0).view(2, 2))
    state = {"embed": weight, "head": weight, "row": weight[1]}
    torch.save(state, path)
    opened = open_state(path)
    assert same(opened, state)
    assert not opened.numbers("embed", 0, 4).requires_grad


def test_a_packed_archive_is_refused(path, refused):
    torch.save(STATE, path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    assert refused(path).startswith(f"{path}: its numbers are packed")


def test_strided_tensors_come_in_the_order_of_their_numbers(path):
    strided = {
        "transposed": torch.arange(6.0).view(2, 3).T,
        "every second": torch.arange(10.0)[::2],
        "channels last": torch.arange(24.0).view(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "repeated": torch.arange(3.0).expand(4, 3),
    }
    torch.save(strided, path)
    assert same(open_state(path), strided)


def test_what_trainings_note_is_left_out_and_told(path):
    from argparse import Namespace
    from datetime import datetime
    from pathlib import Path

    noted = {
        "args": Namespace(lr=0.1, out=Path("x")),
        "best": np.float64(93.5),
        "day": datetime(2026, 1, 1),
        "epoch": 3,
        "model_name": "ViT-B-32",
        "sizes": [torch.Size([3]), None],
    }
    for old in (False, True):
        torch.save(STATE | noted, path, _use_new_zipfile_serialization=not old)
        state = open_state(path)
        assert same(state)
        assert state.notes == [
            f"{path}: left out what is no tensor: args, best, day, epoch, model_name, sizes"
        ]


class Hostile:
    def __init__(self, call, *words):
        self.call, self.words = call, words

    def __reduce__(self):
        return self.call, self.words


@pytest.mark.parametrize("old", [False, True], ids=["zip", "old"])
@pytest.mark.parametrize("nested", [False, True], ids=["alone", "beside"])
def test_a_hostile_file_runs_nothing_and_is_refused_by_name(path, tmp_path, refused, old, nested):
    import os
    import pathlib

    trace = tmp_path / "trace"
    for call, words in ((os.system, (f"touch {trace}",)), (pathlib.Path.touch, (trace,))):
        bad = Hostile(call, *words)
        content = STATE | {"x": bad} if nested else bad
        torch.save(content, path, _use_new_zipfile_serialization=not old)
        message = refused(path)
        assert message.startswith(f"{path}: holds the object ")
        assert ("system" in message) == (call is os.system)
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
    whole = path.read_bytes()
    for size in (4, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert refused(path).startswith(f"{path}: not a whole file of torch.save (")


def test_a_file_that_shrinks_is_refused(path):
    torch.save({"w": torch.ones(500)}, path)
    state = open_state(path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="tensor 'w' ends too early"):
        state.numbers("w", 0, 5)


def test_an_object_or_an_archive_of_others_is_refused_by_name(path, refused, monkeypatch):
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
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", "numbers")
    assert refused(path).startswith(f"{path}: a zip archive, expected")


TENSORS = {
    "torch.complex64": lambda: torch.ones(2, dtype=torch.complex64),
    "torch.sparse_coo": lambda: torch.eye(2).to_sparse(),
    "without numbers": lambda: torch.empty(2, device="meta"),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(2), 1.0, 0, torch.qint8),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", TENSORS)
def test_a_tensor_that_is_no_plain_array_is_named(path, refused, kind):
    torch.save({"w": torch.ones(2), "x": TENSORS[kind]()}, path)
    assert refused(path).startswith(f"{path}: tensor 'x' ")
    assert kind in refused(path)


def test_numbers_are_mapped_and_never_written(path):
    torch.save({"w": torch.ones(5)}, path)
    before = path.read_bytes()
    open_state(path).numbers("w", 0, 5).zero_()
    assert path.read_bytes() == before


NESTED = {"a.weight": torch.ones(2, 2), "a.steps": torch.tensor(3)}
EMA = {"a.weight": torch.zeros(2, 2), "a.steps": torch.tensor(3)}


@pytest.fixture
def saved(path):
    """A function that saves what it is given, and gives the path."""

    def saved(content):
        torch.save(content, path)
        return path

    return saved


@pytest.mark.parametrize("key", ["state_dict", "any"])
def test_the_only_state_is_found(saved, key):
    path = saved(
        {"epoch": 3, "loss": torch.tensor(0.1), "random": torch.zeros(9).byte(), key: NESTED}
    )
    state = open_state(path)
    assert state.names == sorted(NESTED)
    assert state.notes == [f"{path}: read from {key!r}"]


def test_states_at_any_depth_are_told_apart_by_key(saved, refused):
    path = saved({"checkpoint": {"model": NESTED, "teacher": {"ema": EMA}}, "step": 1})
    assert refused(path).endswith(
        "--key: checkpoint/model (2 tensors), checkpoint/teacher/ema (2 tensors)"
    )
    assert open_state(path, "checkpoint/model")["a.weight"].sum() == 4
    assert open_state(path, "checkpoint/teacher/ema")["a.weight"].sum() == 0
    assert refused(path, "ema").startswith(f"{path}: unknown key 'ema'; ")
    # Of one state under two names there is nothing to choose, nor where a file is no more than one.
    assert open_state(saved({"model": NESTED, "state_dict": NESTED})).names == sorted(NESTED)
    assert open_state(saved(NESTED), "ema").names == sorted(NESTED)


@pytest.mark.parametrize("prefix", ["module.", "module._orig_mod."])
def test_prefixes_that_all_names_have_are_dropped(saved, prefix):
    path = saved(OrderedDict((f"{prefix}{name}", tensor) for name, tensor in NESTED.items()))
    state = open_state(path)
    assert state.names == sorted(NESTED)
    assert state.notes == [f"{path}: dropped {prefix!r} from the names"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        ([torch.ones(2)], "list"),
        (torch.ones(2), "Tensor"),
        ({}, "dict"),
        ({0: torch.ones(2)}, "dict"),
        ({**NESTED, "betas": [torch.ones(2)]}, "'betas' holds several tensors"),
    ],
    ids=["list", "tensor", "empty", "numbered", "list beside others"],
)
def test_a_file_without_a_state_is_refused(saved, refused, content, kind):
    path = saved(content)
    assert refused(path).startswith(f"{path}: ")
    assert kind in refused(path)
