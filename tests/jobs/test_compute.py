"""How a job computes, and a GPU of its own; GPUs are numbers here, none need be there."""

import multiprocessing
import os
import signal
import sys
import tempfile
import time
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from negmerge.errors import UserError
from negmerge.jobs import compute
from negmerge.reporting.runtime import waited

pytestmark = pytest.mark.usefixtures("torch_settings")


def prepare(gpu=0, threads=1, torch_threads=1, **params):
    """Prepare a job that Snakemake gives so many threads."""
    params = SimpleNamespace(torch_threads=torch_threads, get=params.get)
    job = {"params": params, "threads": threads, "resources": {"gpu": gpu}}
    return compute.prepare(SimpleNamespace(**job, config={}, log=["logs/job.log"]))


def test_threads_seed_and_determinism_are_set():
    device, loaders = prepare(seed=7)
    assert (device, loaders, torch.get_num_threads()) == (torch.device("cpu"), 0, 1)
    assert torch.are_deterministic_algorithms_enabled()
    first = torch.rand(3)
    # Threads beyond those of torch load images.
    assert prepare(threads=6, torch_threads=2, seed=7)[1] == 4
    assert torch.get_num_threads() == 2
    assert torch.equal(torch.rand(3), first)
    assert prepare(torch_threads=2, seed=8)[1] == 0
    assert not torch.equal(torch.rand(3), first)


def test_products_on_a_gpu_repeat_from_the_first_on(monkeypatch):
    # Stands for a GPU, which cuBLAS begins to use with what it finds in the environment then.
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    found = []

    def take_device(name):
        found.append((name, os.environ.get("CUBLAS_WORKSPACE_CONFIG")))
        found.append(torch.are_deterministic_algorithms_enabled())
        # Only then does torch take the ways of attention's backward that repeat.
        found.append(torch.is_deterministic_algorithms_warn_only_enabled())
        return torch.device("cuda", 0)

    monkeypatch.setattr(compute, "take_device", take_device)
    assert prepare(gpu=1) == (torch.device("cuda", 0), 0)
    assert found == [("cuda", ":4096:8"), True, False]


def test_a_job_that_was_promised_a_gpu_says_why_it_has_none(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"^the device is cuda, but "):
        prepare(gpu=1)


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """Two GPUs, and a folder for their locks."""
    if sys.platform == "win32":
        pytest.skip("Windows has no fcntl")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    monkeypatch.setattr(compute, "SECONDS", 0.01)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


class Job:
    """A process that takes a GPU and keeps it until it is killed."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self._end, theirs = context.Pipe()

        def hold():
            theirs.send([compute.take_device("cuda"), compute.take_device("cuda")])
            signal.pause()

        self._process = context.Process(target=hold, daemon=True)
        self._process.start()

    def device(self, seconds=20.0):
        """The number of its GPU; None if it has none after so many seconds."""
        if not self._end.poll(seconds):
            return None
        first, again = self._end.recv()
        assert first == again
        assert first.type == "cuda"
        return first.index

    def kill(self):
        self._process.kill()
        self._process.join()


@pytest.fixture
def start():
    """A function that starts a job; all end with the test."""
    jobs = []

    def begin():
        jobs.append(Job())
        return jobs[-1]

    yield begin
    for job in jobs:
        job.kill()


def test_a_job_waits_for_a_gpu_of_its_own_and_tells_how_long(
    two_gpus, start, tmp_path, capfd, monkeypatch
):
    clock = count(100.0, 12.5)  # Each job has it anew.
    stopped = SimpleNamespace(monotonic=clock.__next__, sleep=time.sleep)
    monkeypatch.setattr(compute, "time", stopped)
    jobs = [start(), start()]
    devices = [job.device() for job in jobs]
    assert sorted(devices) == [0, 1]
    assert capfd.readouterr().out == ""
    third = start()
    assert third.device(seconds=0.3) is None
    jobs[1].kill()
    assert third.device() == devices[1]
    log = tmp_path / "study/logs/x.log"
    log.parent.mkdir(parents=True)
    log.write_text(capfd.readouterr().out)
    assert waited(tmp_path / "study/benchmarks/x.tsv") == 12.5


def test_jobs_that_see_other_gpus_know_them_by_one_name_and_slurm_gives_each_its_own(
    two_gpus, start, monkeypatch
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert start().device() == 0  # that is 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert start().device() == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert start().device(seconds=0.3) is None
    for number in ("11", "12"):
        monkeypatch.setenv("SLURM_JOB_ID", number)
        assert start().device() == 0
