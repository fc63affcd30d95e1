import json
import os
import resource
import subprocess
from functools import partial

import pytest
import torch
from PIL import Image

from negmerge.checkpoints.states import read_state, write_state
from negmerge.data.preparation import write_images
from negmerge.errors import UserError
from negmerge.files import (
    read_json,
    read_json_records,
    replacing,
    require_writable,
    write_json,
    write_text,
)
from refusals import refused


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def test_text_is_utf_8_with_unix_line_ends_and_json_comes_back(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "é\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == b"\xc3\xa9\n"
    value, path = {"b": [1, 0.05, None], "a": "x"}, tmp_path / "a" / "v.json"
    write_json(path, value)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, float("nan"))
    assert read_json(path) == value
    assert path.read_text() == json.dumps(value, indent=2) + "\n"
    assert listing(tmp_path / "a") == ["b.txt", "v.json"]


@pytest.mark.parametrize(
    ("text", "part"),
    [("[", "not a JSON file"), ("[]", "records"), ("[" * 100_000, ""), ('[{"a": 1}, {}]', "'a'")],
    ids=["broken", "empty", "deep", "key"],
)
def test_a_file_without_records_is_named(tmp_path, text, part):
    path = tmp_path / "v.json"
    write_json(path, [{"a": 1}, {"a": 2, "b": 3}])
    assert read_json_records(path, keys=["a"]) == [{"a": 1}, {"a": 2, "b": 3}]
    path.write_text(text)
    for read in (read_json, read_json_records):
        line = refused(partial(read, path, keys=["a"]))
        assert line.startswith(f"{path}: ")
    assert part in line


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "f"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            assert partial.parent == path.parent  # so renaming does not copy
            assert path.read_text() == "old"
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert listing(tmp_path) == ["f"]


def test_places_that_are_no_files_are_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    for place in (tmp_path / "folder", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=rf"^{place}: cannot be written: "):
            write_text(place, "new")
    require_writable([tmp_path, tmp_path / "new" / "folder"])
    with pytest.raises(UserError, match=rf"^{tmp_path / 'file'}: cannot be written: "):
        require_writable([tmp_path / "file" / "below"])
    assert listing(tmp_path) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "old"


NOISE = Image.effect_noise((500, 500), 100)
LARGE = {
    "json": lambda path: write_json(path, ["x" * 200_000]),
    "state": lambda path: write_state(path, {"w": torch.ones(50_000)}, {}),
    "images": lambda path: write_images(path, [("train", 0, NOISE)], {"train": 1}, 1),
}


@pytest.fixture(params=["full", "read-only", "limit"])
def hindered(request, tmp_path):
    """A file `f` that cannot be replaced by a large one, and the reason."""
    path, before = tmp_path / "f", resource.getrlimit(resource.RLIMIT_FSIZE)
    if request.param == "limit":
        write_state(path, {"w": torch.ones(3)}, {})
        # No file of this process may be larger than 64 KiB: a full disk for those who are not root.
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, before[1]))
        yield path, "File too large; make room and run again"
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a tiny file system")
    write_state(path, {"w": torch.ones(3)}, {})
    if request.param == "full":
        yield path, "No space left on device; make room and run again"
    else:
        subprocess.run(["mount", "-o", "remount,ro", str(tmp_path)], check=True)
        yield path, "Read-only file system; make the place writable and run again"
    subprocess.run(["umount", str(tmp_path)], check=True)


@pytest.mark.parametrize("write", LARGE.values(), ids=LARGE)
def test_what_cannot_be_written_leaves_the_old_file_and_nothing_else(hindered, write):
    path, reason = hindered
    assert refused(lambda: write(path)) == f"{path}: cannot be written: {reason}"
    assert listing(path.parent) == ["f"]
    assert torch.equal(read_state(path)["w"], torch.ones(3))
