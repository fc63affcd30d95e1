import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.states import StateFile, read_metadata, read_state, shapes, write_state
from negmerge.errors import UserError

STATE = {
    "w": torch.tensor([[1.0, -0.0], [1e-45, 3e38]]),
    "half": torch.tensor([1.5], dtype=torch.float16),
    "brain": torch.tensor([1.5], dtype=torch.bfloat16),
    "double": torch.tensor([1 / 3], dtype=torch.float64),
    "count": torch.tensor(7),
    "empty": torch.zeros(0, 2),
}


def test_a_state_comes_back_bit_for_bit(tmp_path):
    path = tmp_path / "folder" / "state.safetensors"
    metadata = {"z": 1, "a": [0.5, None, "é"]}
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


def test_the_order_of_names_does_not_change_the_bytes(tmp_path):
    write_state(tmp_path / "one", STATE, {"a": 1, "b": 2})
    write_state(tmp_path / "other", dict(reversed(STATE.items())), {"b": 2, "a": 1})
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_tied_tensors_are_written_under_each_name(tmp_path):
    weight = torch.arange(6.0).reshape(2, 3)
    state = {"embedding": weight, "head": weight, "first": weight[0], "last": weight[1]}
    write_state(tmp_path / "tied", state, {})
    write_state(tmp_path / "copies", {name: t.clone() for name, t in state.items()}, {})
    assert (tmp_path / "tied").read_bytes() == (tmp_path / "copies").read_bytes()
    found = read_state(tmp_path / "tied")
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    found["head"].zero_()
    assert torch.equal(found["embedding"], weight)


def test_a_file_of_others_has_no_metadata(tmp_path):
    save_file({"a": torch.ones(1)}, tmp_path / "plain")
    save_file({"a": torch.ones(1)}, tmp_path / "other", metadata={"format": "pt"})
    assert read_metadata(tmp_path / "plain") == {}
    assert read_metadata(tmp_path / "other") == {}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_states_that_are_not_finite_are_neither_written_nor_read(tmp_path, value):
    state = {"a": torch.tensor([1.0, value])}
    with pytest.raises(UserError, match=r"/new: tensor 'a' holds 1 NaN or infinite of 2$"):
        write_state(tmp_path / "new", state, {})
    assert not list(tmp_path.iterdir())
    save_file(state, tmp_path / "old")
    with pytest.raises(UserError, match=r"/old: tensor 'a' holds 1 NaN or infinite of 2$"):
        read_state(tmp_path / "old")


def test_tensors_that_are_views_or_need_gradients_are_written(tmp_path):
    matrix = torch.arange(6.0).reshape(2, 3).requires_grad_()
    write_state(tmp_path / "state", {"t": matrix.T}, {})
    assert torch.equal(read_state(tmp_path / "state")["t"], matrix.detach().T)
