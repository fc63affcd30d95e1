"""The models and the study of docs/add-a-model-or-study.md work as they are written there."""

import re
import subprocess
import sys

import pytest
from workflow_text import ROOT

from negmerge.models.classifiers import KINDS
from negmerge.settings.study import load_study

PAGE = (ROOT / "docs" / "add-a-model-or-study.md").read_text()
CLIP, CLASSIFIER, STUDY = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)


@pytest.fixture(scope="module")
def workflow(workflow):
    """The workflow with the rows and the study of the page."""
    with open(workflow / "config" / "models.yaml", "a") as stream:
        stream.write(f"\n{CLIP}\n{CLASSIFIER}")
    (workflow / "config" / "studies" / "mine.yaml").write_text(STUDY)
    return workflow


def test_the_page_lists_every_kind_of_classifier_with_its_options():
    rows = re.findall(r"^\| `([\w-]+)` \| .*? \| (.*) \|$", PAGE, re.M)
    listed = {kind: set(re.findall(r"`(\w+)`", options)) for kind, options in rows}
    assert listed.keys() == KINDS.keys()
    for kind, (_, options) in KINDS.items():
        assert listed[kind] >= set(options)


def test_the_study_is_planned(workflow):
    assert load_study(workflow / "config", "mine").title in STUDY
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "reason", "--"]
    run = subprocess.run(
        [*command, "results/mine/report.html"], cwd=workflow, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    (jobs,) = re.findall(r"The dry run lists (\d+) jobs", PAGE)
    assert set(re.findall(r"^total +(\d+)$", run.stdout + run.stderr, re.M)) == {jobs}
