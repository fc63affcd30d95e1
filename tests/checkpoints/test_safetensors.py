"""Safetensors files, read in parts and written, and files that lie."""

import json
import struct

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.states import (
    DTYPES,
    StateFile,
    read_metadata,
    read_state,
    shapes,
    write_state,
)
from negmerge.errors import UserError


@pytest.mark.parametrize("dtype", DTYPES.values(), ids=DTYPES)
def test_a_part_is_what_the_whole_holds_there(tmp_path, dtype):
    numbers = torch.randint(0, 100, (7, 5), generator=torch.Generator().manual_seed(1))
    tensor = (numbers / 8 if dtype.is_floating_point else numbers).to(dtype)
    # Neighbours on both sides, so that a wrong place shows.
    state = {"a": torch.ones(3), "m": tensor, "z": torch.ones(3), "none": torch.ones(0)}
    save_file(state, tmp_path / "state")
    state = StateFile(tmp_path / "state")
    assert state.dtype("m") == dtype
    flat = tensor.reshape(-1)
    for start, stop in [(0, 35), (0, 1), (34, 35), (4, 18), (9, 9)]:
        part = state.numbers("m", start, stop)
        assert part.dtype == dtype
        assert torch.equal(part.view(torch.uint8), flat[start:stop].view(torch.uint8))
    assert state.numbers("none", 0, 0).shape == (0,)
    # Whoever writes to what was read by mistake changes no file.
    state["a"].zero_()
    state.numbers("z", 0, 3).zero_()
    again = StateFile(tmp_path / "state")
    assert again["a"].tolist() == again["z"].tolist() == [1, 1, 1]


def write_raw(path, header, data=bytes(16)):
    """Write a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def entry(start, stop, shape=(2,), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [start, stop]}


@pytest.mark.parametrize("blanks", [0, 3])
def test_numbers_may_lie_at_odd_places(tmp_path, blanks):
    text = json.dumps({"a": entry(0, 16, (4,)), "b": entry(16, 32, (2,), "F64")}).encode()
    write_raw(tmp_path / "state", text + b" " * blanks, struct.pack("<4f2d", 1, 2, 3, 4, 5, 6))
    state = StateFile(tmp_path / "state")
    assert state.numbers("a", 1, 4).tolist() == [2, 3, 4]
    assert state["b"].tolist() == [5, 6]


BROKEN = {
    "beyond the end": {"a": entry(0, 8), "b": entry(8, 80, (18,))},
    "unused": {"a": entry(0, 8)},
    "no JSON": b"{",
    "empty": b"",
}


@pytest.mark.parametrize("header", BROKEN.values(), ids=BROKEN)
def test_files_that_lie_or_were_cut_are_refused(refused, tmp_path, header):
    path = tmp_path / "state.safetensors"
    write_raw(path, header)
    assert refused(path).startswith(f"{path}: not a whole safetensors file (")
    write_raw(path, {"a": entry(0, 16, (4,))})
    whole = path.read_bytes()
    state = StateFile(path)
    for content in (whole[:5], whole[:20], whole[:-1], whole + b"1"):
        path.write_bytes(content)
        assert refused(path).startswith(f"{path}: not a whole safetensors file (")
    # A file may also shrink while it is read.
    path.write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"state.safetensors: tensor 'a' ends too early"):
        state.numbers("a", 0, 4)


def test_dtypes_that_are_not_supported_are_named(refused, tmp_path):
    path = tmp_path / "state"
    write_raw(path, {"a": entry(0, 16, (4,), "U32")})
    assert refused(path).startswith(f"{path}: tensor 'a' has dtype U32")
    save_file({"a": torch.ones(4).to(torch.float8_e5m2)}, path)
    assert refused(path).startswith(f"{path}: tensor 'a' holds torch.float8_e5m2, expected 16")


MATRIX = torch.arange(6.0).reshape(2, 3)
STATE = {
    "w": torch.tensor([[1.0, -0.0], [1e-45, 3e38]]),
    "half": torch.tensor([1.5], dtype=torch.float16),
    "brain": torch.tensor([1.5], dtype=torch.bfloat16),
    "double": torch.tensor([1 / 3], dtype=torch.float64),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 2),
    # Tied, a view, and with a gradient.
    **{"embedding": MATRIX, "head": MATRIX, "turned": MATRIX.clone().requires_grad_().T},
}


def test_a_state_comes_back_bit_for_bit_in_any_order_of_names(tmp_path):
    path, metadata = tmp_path / "folder" / "state.safetensors", {"z": 1, "a": [0.5, None, "é"]}
    write_state(path, STATE, metadata)
    found = read_state(path)
    assert list(found) == sorted(STATE)
    for name, tensor in STATE.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    assert torch.signbit(found["w"][0, 1])
    assert read_metadata(path) == metadata
    assert shapes(StateFile(path)) == shapes(STATE)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    write_state(tmp_path / "other", dict(reversed(STATE.items())), dict(reversed(metadata.items())))
    assert (tmp_path / "other").read_bytes() == path.read_bytes()
    save_file({"a": torch.ones(1)}, tmp_path / "of others", metadata={"format": "pt"})
    assert read_metadata(tmp_path / "of others") == {}


@pytest.mark.parametrize("value", [float("nan"), -float("inf")])
def test_states_that_are_not_finite_are_neither_written_nor_read(tmp_path, value):
    state = {"a": torch.tensor([1.0, value])}
    with pytest.raises(UserError, match=r"/new: tensor 'a' holds 1 NaN or infinite of 2$"):
        write_state(tmp_path / "new", state, {})
    assert not list(tmp_path.iterdir())
    save_file(state, tmp_path / "old")
    with pytest.raises(UserError, match=r"/old: tensor 'a' holds 1 NaN or infinite of 2$"):
        read_state(tmp_path / "old")
