"""The Dockerfile agrees with the repository and with its environments; `make image` builds it.

`python tests/containers/test_dockerfile.py` writes its first part anew, as `snakemake
--containerize` prints it.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "Dockerfile"
DOCKERFILE = PLACE.read_text()
MARKS = re.compile(r"(?<=# containerize:begin\n).*(?=# containerize:end\n)", re.S)
# It stands above the marks: between it and the environments, conda is told of CUDA.
FROM = re.search(r"^FROM .+\n", DOCKERFILE, re.M)[0]
# What Snakemake asks of conda before it lists environments.
CONDA = """#!/bin/sh
case "$*" in
    "info --json") echo '{"conda_prefix": "/opt/conda", "platform": "linux-64"}' ;;
    "--version") echo conda 24.7.1 ;;
    "config --get channel_priority --json") echo '{"get": {"channel_priority": "strict"}}' ;;
    *) exit 2 ;;
esac
"""
# Snakemake takes an environment that depends on the scenario only from a rule that has a job. These
# have one of each such rule.
TARGETS = (
    "results/smoke/report.html",
    "results/smoke/resnet-18/trial1/unlearned/negmerge.safetensors",
    "results/demo-lm/report.html",
)


def containerized(folder: Path) -> str:
    """Return the image that Snakemake makes of the environments of all rules."""
    conda = folder / "conda"
    conda.write_text(CONDA)
    conda.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", *TARGETS, "--containerize", "dockerfile"],
        cwd=ROOT,
        env=os.environ | {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(FROM)
    return done.stdout.removeprefix(FROM)


def test_its_environments_are_those_that_snakemake_looks_for(tmp_path):
    assert MARKS.search(DOCKERFILE)[0] == containerized(tmp_path), (
        "run: python tests/containers/test_dockerfile.py"
    )


def test_its_python_is_that_of_the_environments():
    version = re.search(r"^RUN conda create --yes --prefix \S+ python=(\S+)$", DOCKERFILE, re.M)[1]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert version in SpecifierSet(project["requires-python"])
    for path in (ROOT / "envs").glob("*.yaml"):
        assert f"python={version}" in yaml.safe_load(path.read_text())["dependencies"]


def test_conda_is_told_of_the_cuda_that_the_locked_torch_is_built_for():
    told = re.search(r"^ARG CONDA_OVERRIDE_CUDA=(\S+)$", DOCKERFILE, re.M)
    assert DOCKERFILE.index(FROM) < told.start() < DOCKERFILE.index("RUN conda env create")
    page = " ".join((ROOT / "docs" / "install.md").read_text().split())
    (torch,) = re.findall(r"^torch==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert f"torch {torch} on PyPI is built for CUDA {told[1]}" in page
    assert f"CONDA_OVERRIDE_CUDA={told[1]}" in page


def targets():
    """List what the Dockerfile has made: while an image is built, and when it runs."""
    built = re.findall(r"^RUN make .*?(\S+)$", DOCKERFILE, re.M)
    command, *run = json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.M)[1])
    assert (len(built), command) == (1, "make")
    return [*built, *run]


@pytest.mark.parametrize("target", targets())
def test_its_targets_are_in_the_makefile(target):
    command = ["make", "--dry-run", "--always-make", f"PYTHON={sys.executable}", target]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "pip install --quiet --constraint constraints.txt" in run.stdout


def test_nothing_that_git_ignores_gets_into_an_image():
    ignored = set((ROOT / ".gitignore").read_text().split())
    # A pattern without a slash in front means any folder for git, the top one for docker.
    wanted = {
        line if line.startswith(("/", "!/")) else f"**/{line.rstrip('/')}" for line in ignored
    }
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    found = {line if line[0] != "*" else line.rstrip("/") for line in lines if line[0] != "#"}
    assert found == wanted | {"/.git"}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        listed = containerized(Path(place))
    PLACE.write_text(MARKS.sub(lambda _: listed, DOCKERFILE))
