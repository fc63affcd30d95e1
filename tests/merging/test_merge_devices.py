"""What is merged on a GPU is what is merged on the CPU, to the bit."""

import pytest
import torch
from safetensors.torch import save_file

from merge_examples import SETTINGS, bits, mixed, random_pool, rows, saved
from negmerge.checkpoints.states import read_state
from negmerge.errors import UserError
from negmerge.merging import engine, merge, merge_files
from negmerge.models.devices import find_device
from negmerge.standalone import pools
from second_device import DEVICE, SecondDevice, There

POOLS = {"float32": random_pool(7, 5), "mixed": mixed(random_pool(7, 5))}
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


@pytest.fixture
def second_device(monkeypatch):
    """The second device, to be entered, in the place of the GPU."""
    places = {"cuda": DEVICE, "cpu": torch.device("cpu")}
    for module in (engine, pools):
        monkeypatch.setattr(module, "find_device", places.get)
    return SecondDevice()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(("method", "options"), SETTINGS)
def test_methods_compute_on_the_device_of_the_blocks(second_device, method, options, kind):
    pool = POOLS[kind]
    with second_device:
        # The second device is known in this thread only.
        found = merge(method, pool, threads=1, device="cuda", block_numbers=100, **options)
    assert second_device.operations > len(pool)
    assert not any(isinstance(tensor, There) for tensor in found.values())
    assert bits(found) == bits(merge(method, pool, **options))


def test_files_are_merged_on_the_device(second_device, tmp_path):
    pool = [{n: tensor.half() for n, tensor in v.items()} for v in random_pool(3, 3)]
    paths = saved(pool, tmp_path)
    with second_device:
        merge_files(
            "negmerge", paths[1:], tmp_path / "there", base=paths[0], device="cuda", threads=1
        )
    assert second_device.operations > 0
    merge_files("negmerge", paths[1:], tmp_path / "here", base=paths[0])
    assert (tmp_path / "there").read_bytes() == (tmp_path / "here").read_bytes()


def test_devices_that_are_not_there_are_refused(tmp_path):
    for name in ("gpu", "meta", "mps", "", "cuda:x"):
        with pytest.raises(UserError) as caught:
            merge("uniform", rows([1.0]), device=name)
        assert str(caught.value) == f"unknown device {name!r}; valid: cpu, cuda"
    with pytest.raises(UserError, match=r"^the device is cuda:99, but "):
        merge_files("uniform", [tmp_path / "none"], tmp_path / "out", device="cuda:99")
    assert find_device(torch.device("cpu")) == find_device("cpu") == torch.device("cpu")


@gpu
@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize(("method", "options"), SETTINGS)
def test_a_gpu_gives_the_bits_of_the_cpu(tmp_path, method, options, kind):
    pool = POOLS[kind]
    expected = bits(merge(method, pool, **options))
    paths = saved(pool, tmp_path)
    for size in (7, 100, None):
        assert bits(merge(method, pool, device="cuda", block_numbers=size, **options)) == expected
        settings = {"device": "cuda", "block_numbers": size, "threads": 6}
        merge_files(method, paths, tmp_path / "merged", **settings, **options)
        assert bits(read_state(tmp_path / "merged")) == expected


@gpu
def test_a_gpu_needs_memory_for_the_blocks_in_flight_only(tmp_path):
    for number in range(8):
        save_file({"w": torch.randn(30_000, 1000)}, tmp_path / str(number))
    torch.cuda.reset_peak_memory_stats()
    paths = [tmp_path / str(number) for number in range(8)]
    merge_files("negmerge", paths, tmp_path / "merged", device="cuda")
    # A file has 120 MB; 4 blocks of 8 MB, each with a few tensors of its size, are in flight.
    assert torch.cuda.max_memory_allocated() < 350e6
