"""The profiles are found, read and kept apart."""

import re
import subprocess
import sys

import yaml
from workflow_text import ROOT, TARGETS, rules

from negmerge.jobs.out_of_memory import BATCHES

# Their memory is that of weights or prompts, not of a batch of images.
WITHOUT_BATCHES = {"head", "merge"}


def load(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def test_the_literal_profile_name_slurm_is_found():
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").resolve() == ROOT / "profiles" / "slurm"


def test_the_default_profile_overrides_nothing_of_another():
    # Snakemake lays profiles/default over every other profile, key by key.
    assert set(load("default")) <= {"rerun-incomplete", "show-failed-logs"}
    for key in set(load("default")) & set(load("slurm")):
        assert load("default")[key] == load("slurm")[key]


def test_the_slurm_profile_names_existing_rules():
    assert set(load("slurm").get("set-resources", {})) <= set(rules())


def test_snakemake_accepts_the_slurm_profile():
    planned = subprocess.run(
        [sys.executable, "-m", "snakemake", "--profile", "slurm", "--dry-run", "--quiet", "all"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert planned.returncode == 0, planned.stderr


def test_jobs_of_a_cluster_ask_for_more_with_each_attempt():
    for name, rule in rules().items():
        asked = re.findall(r"(?:mem_mb|runtime)=(\w+)", rule.get("resources", ""))
        submitted = name not in TARGETS and "localrule" not in rule
        assert asked == ["growing", "growing"] or not submitted, name


def test_every_job_on_a_gpu_can_say_what_to_lower_when_its_memory_ends():
    on_gpu = {name for name, rule in rules().items() if "gpu=gpus" in rule.get("resources", "")}
    assert on_gpu - WITHOUT_BATCHES == set(BATCHES)


def test_gpus_are_named_in_the_page_on_clusters():
    on_gpu = {name for name, rule in rules().items() if "gpu=gpus" in rule.get("resources", "")}
    text = (ROOT / "docs" / "cluster.md").read_text()
    (named,) = re.findall(r"beside (`finetune`: .*?)\.", text, re.S)
    assert on_gpu == set(re.findall(r"`(\w+)`", named))
