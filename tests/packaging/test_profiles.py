"""The profiles are found, read and kept apart."""

import re

import yaml
from workflow_text import ROOT, TARGETS, rules


def load(name):
    return yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())


def test_the_literal_profile_name_slurm_is_found():
    assert (ROOT / "slurm").is_symlink()
    assert (ROOT / "slurm").resolve() == ROOT / "profiles" / "slurm"


def test_the_default_profile_overrides_nothing_of_another():
    # Snakemake lays profiles/default over every other profile, key by key.
    assert set(load("default")) <= {
        "rerun-incomplete",
        "rerun-triggers",
        "show-failed-logs",
    }
    for key in set(load("default")) & set(load("slurm")):
        assert load("default")[key] == load("slurm")[key]


def test_the_slurm_profile_names_existing_rules():
    assert set(load("slurm").get("set-resources", {})) <= set(rules())


def test_every_job_asks_for_what_its_step_takes():
    for name, rule in rules().items():
        asked = re.findall(r"(\w+)=(\w+)\((?:work\.)?(\w+)\)", rule.get("resources", ""))
        found = {resource: (look_up, what) for resource, look_up, what in asked}
        if name in TARGETS:
            continue
        _, step = found["runtime"]
        assert found["runtime"] == ("minutes", step), name
        assert found["estimate_s"] == ("seconds", step), name
        assert found.get("disk_mb", ("megabytes", step)) == ("megabytes", step), name
        assert "mem_mb" in found or "localrule" in rule, name
