import os
import resource
import signal
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from job_examples import BASES, IMAGES, STUDY

from negmerge.data.loading import EvaluationBatches
from negmerge.jobs.job import advice
from negmerge.settings.study import load_study

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
    ("step", "line"),
    [
        ("raise UserError('x.csv: not a sweep')", "x.csv: not a sweep"),
        ("raise OSError(errno.EROFS, '', 'x.json')", "x.json: cannot be written: Read-only file "),
        ("raise OSError(errno.ENOSPC, '', 'x.json')", "x.json: cannot be written: No space left"),
    ],
)
def test_what_a_user_can_mend_is_one_line(folder, step, line):
    done, log = run(folder, step)
    assert done.returncode == 1
    assert log.startswith(f"error: {line}")
    assert len(log.splitlines()) == 1
    assert not (folder / STUDY / "provenance").exists()


@pytest.mark.parametrize("step", ["1 / 0", "os.stat('none')", "sys.exit(3)"])
def test_other_errors_pass(folder, step):
    done, log = run(folder, step)
    assert done.returncode == (3 if "exit" in step else 1)
    assert ("Traceback" in log) == ("exit" not in step)


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


@pytest.mark.parametrize(
    ("rule", "params", "expected"),
    [
        ("sweep", {"batch_size": 5}, "lower experiments.clip.eval_batch_size"),
        ("finetune", {"recipe": {"epochs": 1}, "batch_size": 5},
         "lower experiments.clip.finetune.batch_size and raise "
         "experiments.clip.finetune.grad_accum_steps, so that a step still takes as many images"),
        ("evaluate", {"batch_size": 5, "relearning": {"seeds": 1}},
         "lower experiments.clip.eval_batch_size; a classifier that relearns: "
         "experiments.clip.relearn.batch_size"),
        ("merge", {}, "use a GPU with more, or device: cpu"),
    ],
)  # fmt: skip
def test_out_of_memory_the_setting_to_lower_is_named(rule, params, expected):
    line = f"{rule}: the memory of the GPU does not suffice; {expected}"
    assert advised(GPU_FULL, rule, **params) == line


def test_the_settings_named_exist():
    experiments = load_study(CONFIG, "demo").experiments.values()
    for place in ("finetune", "train", "unlearn", "pretrain.recipe"):
        own = [one for one in experiments if getattr(one, place.split(".")[0], None)]
        assert own
        assert all(type(attrgetter(place)(one).grad_accum_steps) is int for one in own)
    assert all(type(one.eval_batch_size) is int for one in experiments)
    relearning = [one.relearn for one in experiments if getattr(one, "relearn", None)]
    assert all(type(one.batch_size) is int for one in relearning)


def test_other_errors_have_no_advice():
    assert advised(RuntimeError("out of resource: shared memory"), "sweep", batch_size=5) is None


def test_an_operation_that_does_not_repeat_is_named_with_the_setting():
    """The words are those of torch 2.13 on a GPU."""
    line = advised(
        RuntimeError(
            "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but "
            "you set 'torch.use_deterministic_algorithms(True)'."
        ),
        "finetune",
    )
    assert "finetune: adaptive_avg_pool2d_backward_cuda " in line
    assert "deterministic: false" in line


class Items:
    """Images whose loader does something before it loads one."""

    def __init__(self, first):
        self.first = first

    def __len__(self):
        return 2

    def __getitem__(self, number):
        self.first()
        return torch.ones(3, 100, 100), 0


def is_killed():
    """As when the memory of a container is promised, but not there."""
    os.kill(os.getpid(), signal.SIGBUS)


def has_little():
    """A limit of the size of files stands in for that of /dev/shm, which only root may change."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is of Linux")
@pytest.mark.parametrize("first", [is_killed, has_little])
def test_a_loader_without_shared_memory_ends_the_job_instead_of_letting_it_wait(first):
    with pytest.raises(RuntimeError) as caught:
        list(EvaluationBatches(Items(first), lambda image: image, 1, loaders=1))
    assert "--ipc=host" in advised(caught.value, "sweep", batch_size=1)
