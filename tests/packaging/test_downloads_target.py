"""One target fetches all that a study needs from the internet."""

import re
import subprocess
import sys

import yaml
from workflow_text import ROOT

BY_OTHERS = {"Swin-T", "ResNet-18-224", "ViT-B-32", "ViT-B-16", "ViT-L-14"}


def planned(study, *targets):
    command = ["snakemake", "--dry-run", "--cores", "1", "--config", f"study={study}"]
    run = subprocess.run(
        [sys.executable, "-m", *command, "--forceall", "--", *targets],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    return set(re.findall(r"^Job \d+: (\w+): (.*)$", run.stdout + run.stderr, re.M))


def test_the_downloads_of_the_paper_are_its_files_and_the_weights_of_others():
    found = planned("paper", "downloads")
    assert {what for rule, what in found if rule == "weights"} == BY_OTHERS
    rows = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())
    files = {
        f"{name}, {file['name']}"
        for name in ("svhn", "cifar10", "imagenet", "cub")
        for file in rows[name]["files"].values()
    }
    assert files <= {what for rule, what in found if rule == "download"}
    assert {rule for rule, _ in found} == {"download", "weights"}
