import os
from types import SimpleNamespace

import pytest
import torch

from negmerge.errors import UserError
from negmerge.jobs import compute


def prepare(gpu=0, threads=1, torch_threads=1, **params):
    """Prepare a job that Snakemake gives so many threads."""
    params = SimpleNamespace(torch_threads=torch_threads, get=params.get)
    return compute.prepare(SimpleNamespace(params=params, threads=threads, resources={"gpu": gpu}))


pytestmark = pytest.mark.usefixtures("torch_settings")


def test_threads_seed_and_determinism_are_set():
    device, _ = prepare(seed=7)
    assert device == torch.device("cpu")
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory
    first = torch.rand(3)
    prepare(torch_threads=2, seed=7)
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.rand(3), first)
    prepare(torch_threads=2, seed=8)
    assert not torch.equal(torch.rand(3), first)


@pytest.mark.parametrize("given", [None, ":16:8"])
def test_products_on_a_gpu_repeat_from_the_first_on(monkeypatch, given):
    # Stands for a GPU, which cuBLAS begins to use with what it finds in the environment then.
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if given:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given)
    found = []

    def take_device(name):
        found.append((name, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
        found.append(torch.are_deterministic_algorithms_enabled())
        # Only then does torch take the ways of attention's backward that repeat.
        found.append(torch.is_deterministic_algorithms_warn_only_enabled())
        return torch.device("cuda", 0)

    monkeypatch.setattr(compute, "take_device", take_device)
    assert prepare(gpu=1).device == torch.device("cuda", 0)
    assert found == [("cuda", given or ":4096:8"), True, False]


def test_on_the_cpu_cublas_is_not_told_anything(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    prepare()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


@pytest.mark.parametrize(
    ("built_for", "reason"),
    [("13.0", "torch finds no GPU"), (None, f"torch {torch.__version__} is for the CPU only")],
)
def test_a_job_that_was_promised_a_gpu_says_why_it_has_none(monkeypatch, built_for, reason):
    """The version of CUDA stands in for a build of torch."""
    monkeypatch.setattr(torch.version, "cuda", built_for)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError) as caught:
        prepare(gpu=1)
    assert str(caught.value).startswith(f"the device is cuda, but {reason}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("threads", "torch_threads", "loaders"), [(1, 1, 0), (5, 1, 4), (4, 2, 2), (1, 2, 0)]
)
def test_threads_beyond_those_of_torch_load_images(threads, torch_threads, loaders):
    assert prepare(threads=threads, torch_threads=torch_threads).loaders == loaders
    assert torch.get_num_threads() == torch_threads
