import os
import resource
import signal
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
import torch

from negmerge.data.loading import EvaluationBatches
from negmerge.jobs.advice import advice
from negmerge.settings.study import load_study

CONFIG = Path(__file__).parents[2] / "config"
SCRIPT = """
import torch
from job_examples import BASES
from negmerge.jobs.job import job

BASES.wildcards.entries["experiment"] = "clip"
with job(BASES):
    raise torch.OutOfMemoryError("CUDA out of memory")
"""
OUT_OF_MEMORY = torch.OutOfMemoryError("CUDA out of memory")
LOG = "results/small/logs/base/clip.log"
IMAGES = "data/cats/images.safetensors"


@pytest.mark.parametrize(
    ("rule", "params", "expected"),
    [
        ("sweep", {"batch_size": 5}, "lower experiments.clip.eval_batch_size"),
        ("finetune", {"recipe": {"epochs": 1}, "batch_size": 5},
         "lower experiments.clip.finetune.batch_size and raise "
         "experiments.clip.finetune.grad_accum_steps, so that a step still takes as many images"),
        ("base", {"pretrain": {"recipe": {}}},
         "lower experiments.clip.pretrain.recipe.batch_size and raise "
         "experiments.clip.pretrain.recipe.grad_accum_steps, so that a step still takes as many "
         "images"),
        ("base", {"pretrain": None}, "use a GPU with more, or device: cpu"),
        ("evaluate", {"batch_size": 5, "relearning": {"seeds": 1}},
         "lower experiments.clip.eval_batch_size; a classifier that relearns: "
         "experiments.clip.relearn.batch_size"),
        ("evaluate", {"batch_size": 5, "relearning": None},
         "lower experiments.clip.eval_batch_size"),
        ("merge", {}, "use a GPU with more, or device: cpu"),
    ],
)  # fmt: skip
def test_the_advice_is_the_setting_to_lower_by_its_place_in_the_study(rule, params, expected):
    line = f"{rule}: the memory of the GPU does not suffice; {expected}"
    assert advice(OUT_OF_MEMORY, rule, "clip", params) == line


def test_the_settings_named_exist():
    experiments = load_study(CONFIG, "demo").experiments
    places = ("finetune", "train", "unlearn", "pretrain.recipe")
    for place in places:
        recipes = [attrgetter(place)(one) for one in experiments.values() if has(one, place)]
        assert recipes
        assert all(type(recipe.grad_accum_steps) is int for recipe in recipes)
    assert all(type(one.eval_batch_size) is int for one in experiments.values())
    assert all(
        type(one.relearn.batch_size) is int for one in experiments.values() if has(one, "relearn")
    )


def has(experiment, place):
    return getattr(experiment, place.split(".")[0], None) is not None


@pytest.mark.parametrize(
    "message", ["CUDA error: an illegal memory access", "out of resource: shared memory"]
)
def test_other_errors_have_no_advice(message):
    assert advice(RuntimeError(message), "sweep", "clip", {"batch_size": 5}) is None


def test_an_operation_that_does_not_repeat_is_named_with_the_setting():
    """The words are those of torch 2.13 on a GPU."""
    error = RuntimeError(
        "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you "
        "set 'torch.use_deterministic_algorithms(True)'."
    )
    line = advice(error, "finetune", "resnet", {"recipe": {}})
    assert "finetune: adaptive_avg_pool2d_backward_cuda " in line
    assert "deterministic: false" in line
    assert load_study(CONFIG, "demo").compute.deterministic is True


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
    assert "--ipc=host" in advice(caught.value, "sweep", "clip", {"batch_size": 1})


def test_a_job_out_of_memory_ends_with_the_advice_as_its_one_line(tmp_path):
    for place in (LOG, IMAGES):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert done.returncode == 1
    assert (tmp_path / LOG).read_text() == f"error: {advice(OUT_OF_MEMORY, 'base', 'clip', {})}\n"
