import pytest
import torch

from negmerge.errors import UserError
from negmerge.jobs import compute


@pytest.fixture(autouse=True)
def _restore():
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)


def test_threads_seed_and_determinism_are_set():
    device = compute.prepare("cpu", threads=1, seed=7)
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    first = torch.rand(3)
    compute.prepare("cpu", threads=2, seed=7)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.rand(3), first)
    compute.prepare("cpu", threads=2, seed=8)
    assert not torch.equal(torch.rand(3), first)


def test_a_missing_gpu_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as caught:
        compute.prepare("cuda", threads=1, seed=0)
    assert str(caught.value) == "the device is cuda, but torch finds no GPU; use cpu"
