"""The profiles are found, read and kept apart."""

import os
import subprocess
import sys

import pytest
import yaml
from workflow_text import ROOT

from negmerge.jobs import job

# Snakemake up to the moment in which it would run jobs.
LIMIT = """
import sys
from snakemake.cli import main
from snakemake.workflow import Workflow
def execute(self, *_, **__):
    sys.exit(f"limit: {self.global_resources.get('gpu').value}")
Workflow.execute = execute
main([*sys.argv[1:], "--", "data/digits/images.safetensors"])
"""


def load(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def test_the_default_profile_overrides_nothing_of_another():
    # Snakemake lays profiles/default over every other profile, key by key.
    assert set(load("default")) <= {"rerun-incomplete", "rerun-triggers", "show-failed-logs"}
    for key in set(load("default")) & set(load("slurm")):
        assert load("default")[key] == load("slurm")[key]


@pytest.mark.parametrize(
    ("words", "limit"), [(["--cores", "8"], 2), (["--profile", "slurm"], None)]
)
def test_jobs_on_gpus_are_limited_by_those_of_this_machine_but_not_on_a_cluster(words, limit):
    run = subprocess.run(
        [sys.executable, "-c", LIMIT, *words],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "4,7"},
        capture_output=True,
        text=True,
    )
    assert run.stderr.endswith(f"limit: {limit}\n"), run.stderr


def test_gpus_are_counted_by_what_the_driver_lists(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(job, "GPUS", tmp_path / "gpus")
    assert job.count_gpus() == 0
    for name in ("0000:01:00.0", "0000:41:00.0", "0000:81:00.0"):
        (tmp_path / "gpus" / name).mkdir(parents=True)
    assert job.count_gpus() == 3
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert job.count_gpus() == 1
