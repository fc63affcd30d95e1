"""A job's device; GPUs are numbers here, none need be there."""

import multiprocessing
import signal
import sys
import tempfile
import time
from itertools import count
from types import SimpleNamespace

import pytest
import torch

from negmerge.jobs import gpus
from negmerge.jobs.snakemake_records import waited

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fcntl")


@pytest.fixture
def two_gpus(monkeypatch, tmp_path):
    """Two GPUs, and a folder for their locks."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
    monkeypatch.setattr(gpus, "SECONDS", 0.01)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


class Job:
    """A process that takes a GPU and keeps it until it is killed."""

    def __init__(self):
        context = multiprocessing.get_context("fork")
        self._end, theirs = context.Pipe()
        self._process = context.Process(target=self._hold, args=(theirs,), daemon=True)
        self._process.start()

    @staticmethod
    def _hold(pipe):
        pipe.send([gpus.take_device("cuda"), gpus.take_device("cuda")])
        signal.pause()

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


def test_each_job_has_a_gpu_of_its_own_and_waits_while_there_is_none(two_gpus, start):
    jobs = [start(), start()]
    devices = [job.device() for job in jobs]
    assert sorted(devices) == [0, 1]
    third = start()
    assert third.device(seconds=0.3) is None
    jobs[1].kill()
    assert third.device() == devices[1]


@pytest.mark.parametrize(
    "made", [lambda path: None, lambda path: path.touch(), lambda path: path.mkdir()]
)
def test_jobs_agree_whatever_runtime_folder_their_sessions_have(
    two_gpus, start, monkeypatch, tmp_path, made
):
    # Slurm hands on that of the login node, which is not there; a file is none to write to.
    first = start().device()
    made(tmp_path / "runtime")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    assert {first, start().device()} == {0, 1}
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert start().device(seconds=0.3) is None


def test_a_job_tells_how_long_it_waited(two_gpus, start, tmp_path, capfd, monkeypatch):
    clock = count(100.0, 12.5)  # Each job has it anew.
    monkeypatch.setattr(gpus, "time", SimpleNamespace(monotonic=clock.__next__, sleep=time.sleep))
    jobs = [start(), start()]
    assert {job.device() for job in jobs} == {0, 1}
    assert capfd.readouterr().out == ""
    third = start()
    assert third.device(seconds=0.3) is None
    jobs[0].kill()
    assert third.device() is not None
    benchmark, log = (tmp_path / f"study/{place}" for place in ("benchmarks/x.tsv", "logs/x.log"))
    log.parent.mkdir(parents=True)
    log.write_text(capfd.readouterr().out)
    assert waited(benchmark) == 12.5


def test_jobs_that_see_other_gpus_know_them_by_one_name(two_gpus, start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    assert start().device() == 0  # that is 3
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert start().device() == 0
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert start().device(seconds=0.3) is None


def test_jobs_of_slurm_have_what_slurm_gave_each(two_gpus, start, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for number in ("11", "12"):
        monkeypatch.setenv("SLURM_JOB_ID", number)
        assert start().device() == 0


def test_a_job_on_the_cpu_takes_no_gpu(two_gpus, tmp_path):
    assert gpus.take_device("cpu") == torch.device("cpu")
    assert list(tmp_path.iterdir()) == []
