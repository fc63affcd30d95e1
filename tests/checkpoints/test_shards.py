"""States in shards with an index."""

import json

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.opening import Shards, open_state

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2), "b": torch.tensor(7)}
PLACES = {"b": SECOND, "a.weight": FIRST, "a.bias": SECOND}


@pytest.fixture
def folder(tmp_path):
    """A state in two shards, as the hub lays it out."""
    for file in (FIRST, SECOND):
        shard = {name: TENSORS[name] for name, place in PLACES.items() if place == file}
        save_file(shard, tmp_path / file, metadata={"format": "pt"})
    write_index(tmp_path, PLACES)
    return tmp_path


def write_index(folder, places):
    index = {"metadata": {"total_size": 40}, "weight_map": places}
    (folder / INDEX).write_text(json.dumps(index))


def test_shards_are_one_state(folder):
    for path in (folder, folder / INDEX):
        state = open_state(path)
        assert isinstance(state, Shards)
        assert state.names == sorted(TENSORS)
        assert state.files == [folder / FIRST, folder / SECOND]
        assert state.metadata == {}
        assert not state.is_float("b")
        for name, tensor in state.items():
            assert torch.equal(tensor, TENSORS[name])
            assert state.shape(name) == tensor.shape
            assert state.dtype(name) == tensor.dtype
        assert state.numbers("a.weight", 2, 5).tolist() == [2, 3, 4]


def test_what_the_index_leaves_out_is_told(folder):
    write_index(folder, {"a.weight": FIRST, "b": SECOND})
    state = open_state(folder)
    assert state.names == ["a.weight", "b"]
    assert state.notes == [f"{folder / INDEX}: leaves out what its shards hold: a.bias"]


def test_a_tensor_that_its_shard_lacks_is_named(refused, folder):
    write_index(folder, PLACES | {"a.bias": FIRST})
    assert refused(folder).startswith(f"{folder / FIRST}: tensor 'a.bias' is missing")


@pytest.mark.parametrize("place", ["missing", "../other.safetensors", "/etc/passwd", "..", None])
def test_shards_lie_beside_the_index(refused, folder, place):
    write_index(folder, PLACES | {"b": place})
    assert refused(folder).startswith(f"{folder / INDEX}: its shard {str(place)!r} is not beside")


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"weight_map": []}'],
    ids=["empty", "list", "no-map", "list-map"],
)
def test_an_index_that_is_none_is_refused(refused, folder, text):
    (folder / INDEX).write_bytes(text.encode())
    assert refused(folder).startswith(f"{folder / INDEX}: not an index of shards (")
