import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import pytest
import torch

from negmerge.jobs.out_of_memory import ACCUMULATED, BATCHES, advice, is_out_of_memory
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
LOG = "results/small/logs/base/clip.log"
IMAGES = "data/cats/images.safetensors"


@pytest.mark.parametrize("rule", BATCHES)
def test_the_settings_named_exist(rule):
    place = BATCHES[rule]
    found = []
    for experiment in load_study(CONFIG, "demo").experiments.values():
        try:
            found.append(attrgetter(place)(experiment))
            if rule in ACCUMULATED:
                attrgetter(place.replace("batch_size", "grad_accum_steps"))(experiment)
        except AttributeError:
            continue
    assert found
    assert all(type(size) is int for size in found)


def test_the_advice_is_the_setting_to_lower_by_its_place_in_the_study():
    assert advice("sweep", "clip") == (
        "sweep: the memory of the GPU does not suffice; lower experiments.clip.eval_batch_size"
    )
    assert advice("base", "clip") == (
        "base: the memory of the GPU does not suffice; "
        "lower experiments.clip.pretrain.recipe.batch_size and raise "
        "experiments.clip.pretrain.recipe.grad_accum_steps, "
        "so that a step still takes as many images"
    )
    assert advice("merge", "clip").endswith("use a GPU with more, or device: cpu")


def test_other_errors_are_none_of_memory():
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access"))


def test_a_job_out_of_memory_ends_with_the_advice_as_its_one_line(tmp_path):
    for place in (LOG, IMAGES):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).touch()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.returncode == 1
    assert (tmp_path / LOG).read_text() == f"error: {advice('base', 'clip')}\n"
