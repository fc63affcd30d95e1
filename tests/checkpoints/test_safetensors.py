"""Safetensors files, and files that lie."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.states import DTYPES, StateFile, read_state
from negmerge.errors import UserError


def random_numbers(dtype):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.randint(0, 100, (7, 5), generator=generator)
    return (numbers / 8 if dtype.is_floating_point else numbers).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_a_part_is_what_the_whole_holds_there(tmp_path, dtype):
    tensor = random_numbers(dtype)
    path = tmp_path / "state"
    # Neighbours on both sides, so that a wrong place shows.
    save_file({"a": torch.ones(3), "m": tensor, "z": torch.ones(3), "none": torch.ones(0)}, path)
    state = StateFile(path)
    assert state.dtype("m") == dtype
    flat = tensor.reshape(-1)
    for start, stop in [(0, 35), (0, 1), (34, 35), (4, 18), (9, 9)]:
        part = state.numbers("m", start, stop)
        assert part.dtype == dtype
        assert torch.equal(part.view(torch.uint8), flat[start:stop].view(torch.uint8))
    assert state.numbers("none", 0, 0).shape == (0,)


def test_a_tensor_is_a_copy_and_a_part_never_changes_the_file(tmp_path):
    path = tmp_path / "state"
    save_file({"a": torch.ones(3)}, path)
    state = StateFile(path)
    state["a"].zero_()
    assert state.numbers("a", 0, 3).tolist() == [1, 1, 1]
    state.numbers("a", 0, 3).zero_()
    assert StateFile(path)["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("blanks", [0, 3])
def test_numbers_may_lie_at_odd_places(tmp_path, blanks):
    path = tmp_path / "state"
    text = json.dumps({"a": entry(0, 16, (4,)), "b": entry(16, 32, (2,), "F64")}).encode()
    numbers = struct.pack("<4f2d", 1, 2, 3, 4, 5, 6)
    hostile(path, text + b" " * blanks, numbers)
    state = StateFile(path)
    assert state.numbers("a", 1, 4).tolist() == [2, 3, 4]
    assert state["b"].tolist() == [5, 6]


def hostile(path, header, data=bytes(16), length=None):
    """Write a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = len(text) if length is None else length
    path.write_bytes(struct.pack("<Q", size) + text + data)


def entry(start, stop, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


HEADERS = {
    "beyond the end": {"a": entry(0, 8), "b": entry(8, 80, (18,))},
    "unused": {"a": entry(0, 8)},
    "too small for its shape": {"a": entry(0, 16, (5,))},
    "a dtype of its own": {"a": entry(0, 16, (4,), "F33")},
    "a list": [],
    "no JSON": b"{",
    "empty": b"",
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_headers_that_lie_are_refused(refused, tmp_path, header):
    path = tmp_path / "state.safetensors"
    hostile(path, header)
    assert refused(path).startswith(f"{path}: not a whole safetensors file (")


def test_files_that_are_not_whole_are_refused(refused, tmp_path):
    path = tmp_path / "state.safetensors"
    hostile(path, {"a": entry(0, 16, (4,))})
    whole = path.read_bytes()
    assert torch.equal(read_state(path)["a"], torch.zeros(4))
    for content in (whole[:5], whole[:20], whole[:-1], whole + b"1", bytes(100)):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path}: not a whole safetensors file (")


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path):
    path = tmp_path / "state"
    save_file({"a": torch.ones(4)}, path)
    state = StateFile(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="state: tensor 'a' ends too early"):
        state.numbers("a", 0, 4)


def test_dtypes_that_are_not_supported_are_named(refused, tmp_path):
    path = tmp_path / "state"
    hostile(path, {"a": entry(0, 16, (4,), "U32")})
    assert refused(path).startswith(f"{path}: tensor 'a' has dtype U32")
    save_file({"a": torch.ones(4).to(torch.float8_e5m2)}, path)
    assert len(StateFile(path).numbers("a", 1, 3)) == 2
    assert refused(path).startswith(f"{path}: tensor 'a' holds torch.float8_e5m2, expected 16")
