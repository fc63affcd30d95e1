"""Files that would run something, or take all memory, are refused by name and run nothing."""

import os
import struct
import zipfile

import pytest
import torch

from negmerge.errors import UserError
from negmerge.released.reading import read
from released_files import empty, named_class, save_whole

TENSORS = {"model.visual.proj": torch.zeros(77, 3)}


class Call:
    """What pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch ran",), "posix.system"),
        (eval, ("open('ran', 'w')",), "builtins.eval"),
        (bytearray, (2**50,), "builtins.bytearray"),
        (torch.FloatTensor, (2**20, 2**20), "torch.FloatTensor"),
    ],
)
@pytest.mark.parametrize("hidden", [True, False])
def test_a_call_is_refused_by_name(tmp_path, monkeypatch, function, arguments, named, hidden):
    monkeypatch.chdir(tmp_path)
    call = Call(function, *arguments)
    if hidden:
        save_whole("encoder.pt", TENSORS, preparation=[{"step": call}])
    else:
        torch.save(call, "encoder.pt")
    with pytest.raises(UserError, match=f"encoder.pt: names '{named}.*; nothing was run"):
        read("encoder.pt")
    assert os.listdir() == ["encoder.pt"]


def test_a_class_with_its_own_way_of_loading_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(self, state):
        open("ran", "w").close()

    evil = empty("evil.Evil")
    evil.x = 1
    save_whole("foreign.pt", TENSORS, preparation=evil)
    with pytest.raises(UserError, match=r"foreign.pt: names 'evil.Evil', which is no part"):
        read("foreign.pt")
    # One that is named like a part of the model becomes a stand-in, which has no such method.
    within = named_class("src.modeling.Evil")
    within.__setstate__ = run
    inner = empty("src.modeling.Evil")
    inner.x = 1
    save_whole("within.pt", TENSORS, preparation=inner)
    read("within.pt")
    assert sorted(os.listdir()) == ["foreign.pt", "within.pt"]


def legacy(path):
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)


def program(path):
    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), path)


def cut(path):
    torch.save(TENSORS, path)
    path.write_bytes(path.read_bytes()[:-200])


def flipped(path):
    torch.save({"model.visual.proj": torch.full((99,), 7.0)}, path)
    path.write_bytes(path.read_bytes().replace(struct.pack("<f", 7), struct.pack("<f", 8), 1))


def no_pickle(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", "not a pickle")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "message"),
    [
        (legacy, "not a whole file of torch.save since 1.6"),
        (cut, "not a whole file of torch.save since 1.6"),
        (program, "TorchScript"),
        (flipped, "/data/0' is damaged"),
        (no_pickle, "not a whole file of torch.save"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_torch_did_not_write_whole_is_refused(tmp_path, write, message):
    write(tmp_path / "file.pt")
    with pytest.raises(UserError, match=f"file.pt: .*{message}"):
        read(tmp_path / "file.pt")
