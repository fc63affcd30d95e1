"""The Dockerfile agrees with the repository. No test builds it."""

import json
import re
import subprocess
import sys
import tomllib

import pytest
from packaging.specifiers import SpecifierSet
from workflow_text import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text()


def test_its_python_is_one_that_the_project_runs_on():
    version = re.search(r"^FROM python:(\d+\.\d+)-slim$", DOCKERFILE, re.M)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version in SpecifierSet(project["requires-python"])


def targets():
    """List what the Dockerfile has made: while an image is built, and when it runs."""
    built = re.findall(r"^RUN make (\S+)$", DOCKERFILE, re.M)
    command, *run = json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.M)[1])
    assert (len(built), command) == (1, "make")
    return [*built, *run]


@pytest.mark.parametrize("target", targets())
def test_its_targets_are_in_the_makefile(target):
    command = ["make", "--dry-run", "--always-make", f"PYTHON={sys.executable}", target]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "pip install --quiet --constraint constraints.txt" in run.stdout


def test_its_report_is_where_the_default_study_writes_it():
    folder = re.search(r"^WORKDIR (\S+)$", DOCKERFILE, re.M)[1]
    study = re.search(r"^STUDY \?= (\w+)$", (ROOT / "Makefile").read_text(), re.M)[1]
    assert f"docker cp {study}:{folder}/results/{study}/report.html ." in DOCKERFILE


def test_nothing_that_git_ignores_gets_into_an_image():
    ignored = set((ROOT / ".gitignore").read_text().split())
    # A pattern without a slash in front means any folder for git, the top one for docker.
    wanted = {
        line if line.startswith(("/", "!/")) else f"**/{line.rstrip('/')}" for line in ignored
    }
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    found = {line if line[0] != "*" else line.rstrip("/") for line in lines if line[0] != "#"}
    assert found == wanted | {"/.git"}
