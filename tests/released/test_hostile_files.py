"""Files that would run something, or take all memory, are refused by name and run nothing."""

import os
import pickle
import struct
import subprocess
import zipfile

import pytest
import torch

from negmerge.checkpoints.torch_files import TUPLES
from negmerge.errors import UserError
from negmerge.released import read
from negmerge.released.standing_in import load
from released_files import empty, named_class, save, save_whole

TENSORS = {"model.visual.proj": torch.zeros(77, 3)}


class Call:
    """What pickles as the call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def archive(path, pickled, compression=zipfile.ZIP_STORED, **parts):
    """Write the zip archive of a pickle."""
    with zipfile.ZipFile(path, "w", compression) as written:
        written.writestr("archive/data.pkl", pickled)
        written.writestr("archive/version", "3\n")
        for name, content in parts.items():
            written.writestr(f"archive/{name}", content)


def repickled(path, change):
    """Write a file anew with another pickle."""
    with zipfile.ZipFile(path) as old:
        parts = {part: old.read(part) for part in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in parts.items():
            new.writestr(name, change(content) if name.endswith("data.pkl") else content)


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch ran",), "posix.system"),
        (os.mkdir, ("ran",), "posix.mkdir"),
        (subprocess.check_call, (["touch", "ran"],), "subprocess.check_call"),
        (eval, ("open('ran', 'w')",), "builtins.eval"),
        (exec, ("open('ran', 'w')",), "builtins.exec"),
        (getattr, ("text", "upper"), "builtins.getattr"),
        (open, ("ran", "w"), "io.open"),
        (torch.save, ([], "ran"), "torch.serialization.save"),
        (torch.hub.download_url_to_file, ("file:///etc/hosts", "ran"), "torch.hub.download_url"),
        (bytearray, (2**50,), "builtins.bytearray"),
        (torch.FloatTensor, (2**20, 2**20), "torch.FloatTensor"),
        (torch._utils._rebuild_qtensor, (), "torch._utils._rebuild_qtensor"),
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


def test_a_layer_of_torch_is_not_built_however_large(tmp_path):
    torch.save(Call(torch.nn.Linear, 2**30, 2**30), tmp_path / "layer.pt")
    with pytest.raises(UserError, match=r"layer.pt: has no tensor of an image encoder"):
        read(tmp_path / "layer.pt")


def test_a_storage_larger_than_the_file_is_refused(tmp_path):
    torch.save({"model.visual.proj": torch.zeros(77)}, tmp_path / "large.pt")
    repickled(tmp_path / "large.pt", lambda old: old.replace(b"K\x4d", b"J\xff\xff\xff\x7f"))
    with pytest.raises(UserError, match=r"large.pt: not a whole file of torch.save .*storage"):
        read(tmp_path / "large.pt")


def test_a_shape_larger_than_its_storage_is_refused(tmp_path):
    small = torch.zeros(1)
    torch.save({"model.visual.proj": small.expand(2**20, 2**20)}, tmp_path / "expanded.pt")
    with pytest.raises(
        UserError,
        match=r"expanded.pt: tensor 'model.visual.proj' of shape .* claim",
    ):
        read(tmp_path / "expanded.pt")


def test_one_storage_under_many_names_is_refused(tmp_path):
    shared = torch.zeros(2**16)
    torch.save({f"model.visual.{n}": shared[:] for n in range(999)}, tmp_path / "shared.pt")
    with pytest.raises(
        UserError, match=r"shared.pt: tensor 'model.visual.1' .* claim 524,288 bytes"
    ):
        read(tmp_path / "shared.pt")


def test_a_zip_bomb_is_refused(tmp_path):
    archive(tmp_path / "bomb.pt", b"N" * 2**24 + b".", zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"bomb.pt: 'archive/data.pkl' is compressed"):
        read(tmp_path / "bomb.pt")


def test_parts_that_lie_in_each_other_are_refused(tmp_path):
    archive(tmp_path / "nested.pt", pickle.dumps({}, 2), **{"data/0": b"0" * 2**16})
    content = (tmp_path / "nested.pt").read_bytes()
    # The sizes in the directory at the end, not those before each part.
    at = content.rindex(b"archive/version") - 46 + 20
    forged = content[:at] + struct.pack("<II", 2**16, 2**16) + content[at + 8 :]
    (tmp_path / "nested.pt").write_bytes(forged)
    with pytest.raises(UserError, match=r"nested.pt: claims to hold [0-9,]* bytes, but has"):
        read(tmp_path / "nested.pt")


def nest(depth):
    """Pickle a dictionary whose key is a tuple in a tuple in a tuple..."""
    return b"\x80\x02})" + b"\x85" * depth + b"Ns."


def test_tuples_nested_so_deep_that_python_crashes_are_refused(tmp_path):
    archive(tmp_path / "deep.pt", nest(2 * 10**5))
    with pytest.raises(UserError, match=r"deep.pt: its pickle has 200,000 tuples"):
        read(tmp_path / "deep.pt")
    archive(tmp_path / "deep.pt", nest(TUPLES))
    assert len(load(tmp_path / "deep.pt")) == 1


def test_lists_nested_deep_are_refused(tmp_path):
    archive(tmp_path / "deep.pt", b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".")
    with pytest.raises(UserError, match=r"deep.pt: holds list"):
        read(tmp_path / "deep.pt")


@pytest.mark.parametrize("copies", [1, 2])
def test_modules_within_themselves_or_in_two_places_are_refused(tmp_path, copies):
    outer, inner = empty("src.modeling.A"), empty("src.modeling.B")
    outer._modules = {str(number): inner for number in range(copies)}
    inner._modules = {"c": outer} if copies == 1 else {}
    save(tmp_path / "circle.pt", outer)
    with pytest.raises(UserError, match=r"circle.pt: module '.*' lies too deep, or is there twice"):
        read(tmp_path / "circle.pt")


def test_modules_nested_deep_are_refused(tmp_path):
    module = empty("src.modeling.A")
    for _ in range(99):
        outer = empty("src.modeling.A")
        outer._modules, module = {"a": module}, outer
    save(tmp_path / "deep.pt", module)
    with pytest.raises(UserError, match=r"deep.pt: module '(a.)*' lies too deep"):
        read(tmp_path / "deep.pt")


def test_a_module_of_other_things_is_refused(tmp_path):
    module = empty("src.modeling.A")
    module._parameters, module._buffers, module._modules = [1], 2, {"a": 3}
    save(tmp_path / "odd.pt", module)
    with pytest.raises(UserError, match=r"odd.pt: 'a' is no module"):
        read(tmp_path / "odd.pt")


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


def pointer(path):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 453926964\n")


def several(path):
    archive(path, b"N.", **{"inner/data.pkl": b"N."})


def no_pickle(path):
    archive(path, b"not a pickle")


def newer_pickle(path):
    archive(path, pickle.dumps(TENSORS.keys().__class__.__name__, 4))


def two_words(path):
    archive(path, b"\x80\x02cos sys\nsystem\n.")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("write", "told"),
    [
        (legacy, "not a whole file of torch.save since 1.6"),
        (cut, "not a whole file of torch.save since 1.6"),
        (pointer, "not a whole file of torch.save since 1.6"),
        (program, "TorchScript, which is read by running it"),
        (flipped, "/data/0' is damaged"),
        (several, "it has no data.pkl, or several"),
        (no_pickle, "not a whole file of torch.save"),
        (newer_pickle, "not a whole file of torch.save since 1.6"),
        (two_words, "not a whole file of torch.save"),
        (lambda path: path.mkdir(), "not a whole file of torch.save since 1.6"),
        (lambda path: None, "no such file"),
    ],
)
def test_what_torch_did_not_write_whole_is_refused(tmp_path, write, told):
    write(tmp_path / "file.pt")
    with pytest.raises(UserError, match=f"file.pt: .*{told}"):
        read(tmp_path / "file.pt")


def test_what_was_registered_for_one_file_is_gone_after_it(tmp_path):
    save_whole(tmp_path / "encoder.pt", TENSORS)
    before = set(torch.serialization.get_safe_globals())
    read(tmp_path / "encoder.pt")
    assert set(torch.serialization.get_safe_globals()) == before
