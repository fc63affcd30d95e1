import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from job_examples import BASES, IMAGES, STUDY

from negmerge.data.loading import EvaluationBatches
from negmerge.jobs.job import advice

CONFIG = Path(__file__).parents[2] / "config"
SCRIPT = f"""
import errno, os, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from job_examples import BASES
from negmerge.errors import UserError
from negmerge.jobs.job import job

with job(BASES) as provenance:
    print("from Python")
    os.write(2, b"from C\\n")
"""
LOG = f"{STUDY}/logs/base/clip.log"
WRITE = "[open(path, 'w').write('x') for path in BASES.output]"
GPU_FULL = torch.OutOfMemoryError("CUDA out of memory")


@pytest.fixture
def folder(tmp_path):
    """A folder with the input of a job and the log of its last run."""
    for place in (LOG, IMAGES, f"{STUDY}/clip/base.safetensors"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / LOG).write_text("a longer log of the run before this one, which must go\n" * 5)
    (tmp_path / IMAGES).write_text("images")
    return tmp_path


def run(folder, step):
    command = [sys.executable, "-c", f"{SCRIPT}    {step}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.stdout == ""
    return done, (folder / LOG).read_text().removeprefix("from Python\nfrom C\n")


def test_all_output_goes_to_the_log(folder):
    done, log = run(folder, WRITE)
    assert (done.returncode, done.stderr, log) == (0, "", "")
    records = folder / f"{STUDY}/provenance/clip"
    assert {path.stem for path in records.iterdir()} == {"base.safetensors", "text.safetensors"}


@pytest.mark.parametrize(
    ("step", "status", "start"),
    [
        ("raise UserError('x.csv: not a sweep')", 1, "error: x.csv: not a sweep\n"),
        ("raise OSError(errno.ENOSPC, '', 'x.json')", 1, "error: x.json: cannot be written: "),
        ("1 / 0", 1, "Traceback"),
        ("sys.exit(3)", 3, ""),
    ],
)
def test_what_a_user_can_mend_is_one_line_and_other_errors_pass(folder, step, status, start):
    done, log = run(folder, step)
    assert done.returncode == status
    assert log.startswith(start)
    assert ("\n" in log.rstrip()) == (start == "Traceback")
    assert not (folder / STUDY / "provenance").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device without room")
def test_a_log_without_room_is_named_on_the_terminal(folder):
    (folder / LOG).unlink()
    (folder / LOG).symlink_to("/dev/full")
    command = [sys.executable, "-c", f"{SCRIPT}    {WRITE}"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 1
    line = f"error: {LOG}: cannot be written: No space left on device; make room and run again"
    assert done.stderr.splitlines()[0] == line


def advised(error, rule, **params):
    return advice(error, type(BASES)(**vars(BASES) | {"rule": rule, "params": params}))


# As torch 2.13 says it.
UNREPEATABLE = RuntimeError("cumsum_cuda does not have a deterministic implementation, but you set")
CLIP = "experiments.clip"


@pytest.mark.parametrize(
    ("error", "rule", "params", "parts"),
    [
        (GPU_FULL, "sweep", {"batch_size": 5}, [f"{CLIP}.eval_batch_size"]),
        (GPU_FULL, "finetune", {"recipe": {"epochs": 1}, "batch_size": 5},
         [f"{CLIP}.finetune.batch_size", f"{CLIP}.finetune.grad_accum_steps"]),
        (GPU_FULL, "evaluate", {"batch_size": 5, "relearning": {"seeds": 1}},
         [f"{CLIP}.eval_batch_size", f"{CLIP}.relearn.batch_size"]),
        (GPU_FULL, "merge", {}, ["device: cpu"]),
        (UNREPEATABLE, "finetune", {}, ["cumsum_cuda", "deterministic: false"]),
    ],
)  # fmt: skip
def test_what_the_machine_lacks_is_named_with_the_setting(error, rule, params, parts):
    line = advised(error, rule, **params)
    assert line.startswith(f"{rule}: ")
    assert all(part in line for part in parts)
    assert advised(RuntimeError("out of resource: shared memory"), rule, **params) is None


LITTLE = {
    # As when the memory of a container is promised, but not there.
    "killed": lambda: os.kill(os.getpid(), signal.SIGBUS),
    # A limit of the size of files stands in for that of /dev/shm, which only root may change.
    "full": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)),
}


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is of Linux")
@pytest.mark.parametrize("first", LITTLE.values(), ids=LITTLE)
def test_a_loader_without_shared_memory_ends_the_job_instead_of_letting_it_wait(first):
    images = [(torch.ones(3, 100, 100), 0)] * 2
    with pytest.raises(RuntimeError) as caught:
        list(EvaluationBatches(images, lambda image: first() or image, 1, loaders=1))
    assert "--ipc=host" in advised(caught.value, "sweep", batch_size=1)
