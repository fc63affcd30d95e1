import json
import os
import resource
import subprocess

import pytest
import torch
from PIL import Image

from negmerge.checkpoints.states import read_state, write_state
from negmerge.data.images import write_images
from negmerge.errors import UserError
from negmerge.files import (
    read_json,
    read_json_records,
    replacing,
    write_json,
    write_text,
)


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_utf_8_with_unix_line_ends(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "é\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xc3\xa9\n"
    write_text(tmp_path / "a" / "b.txt", "new\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"new\n"
    assert listing(tmp_path / "a") == ["b.txt"]


def test_json_comes_back(tmp_path):
    value = {"b": [1, 0.05, None], "a": "x"}
    write_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == value
    assert (tmp_path / "v.json").read_text() == json.dumps(value, indent=2) + "\n"
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "v.json", float("nan"))
    assert read_json(tmp_path / "v.json") == value


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "f"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["f"]


@pytest.mark.parametrize(
    ("name", "reason"), [("folder", "Is a directory"), ("file/below", "File exists")]
)
def test_places_that_are_no_files_are_refused(tmp_path, name, reason):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    with pytest.raises(UserError) as caught:
        write_text(tmp_path / name, "new")
    assert str(caught.value) == f"{tmp_path / name}: cannot be written: {reason}"
    assert listing(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 64 KiB."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a tiny file system")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


NOISE = Image.effect_noise((500, 500), 100)
LARGE = {
    "text": lambda path: write_text(path, "x" * 200_000),
    "json": lambda path: write_json(path, ["x" * 200_000]),
    "state": lambda path: write_state(path, {"w": torch.ones(50_000)}, {}),
    "images": lambda path: write_images(path, [("train", 0, NOISE)], {"train": 1}, 1),
}


@pytest.fixture(params=["full", "read-only", "limit"])
def hindered(request, tmp_path):
    """A file `f` that cannot be replaced by a large one, and the reason."""
    if request.param != "limit":
        request.getfixturevalue("tiny_disk")
    path, before = tmp_path / "f", resource.getrlimit(resource.RLIMIT_FSIZE)
    write_state(path, {"w": torch.ones(3)}, {})
    if request.param == "full":
        yield path, "No space left on device; make room and run again"
    elif request.param == "read-only":
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        yield path, "Read-only file system; make the place writable and run again"
    else:
        # No file of this process may be larger than 64 KiB: a full disk for those who are not root.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
        yield path, "File too large; make room and run again"
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", LARGE.values(), ids=LARGE)
def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(hindered, write):
    path, reason = hindered
    with pytest.raises(UserError) as caught:
        write(path)
    assert str(caught.value) == f"{path}: cannot be written: {reason}"
    assert listing(path.parent) == ["f"]
    assert torch.equal(read_state(path)["w"], torch.ones(3))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "not a JSON file"),
        ("[]", "holds no JSON list of records; delete it and run again"),
        ('{"a": 1}', "holds no JSON list of records; delete it and run again"),
        ('[{"a": 1}, 2]', "holds no JSON object; delete it and run again"),
        ('[{"a": 1}, {}]', "the key 'a' is missing; delete it and run again"),
    ],
)
def test_a_file_without_records_is_an_error(tmp_path, text, message):
    path = tmp_path / "v.json"
    write_json(path, [{"a": 1}, {"a": 2, "b": 3}])
    assert read_json_records(path, keys=["a"]) == [{"a": 1}, {"a": 2, "b": 3}]
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_json_records(path, keys=["a"])
    assert str(caught.value).startswith(f"{path}: {message}")
