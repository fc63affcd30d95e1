"""Jobs in the image of the Dockerfile, by all ways of deploying software that Snakemake has.

Real: all that Snakemake does, the jobs, and the names of the environments in the Dockerfile. Stood
in for: the command `apptainer`, by `apptainer_command.py`; and the environments in the image, which
are empty. So it is shown what a job asks of the image, and that the Dockerfile has it; not that the
image can be built, nor that its packages work. `tests/conda` shows `--sdm conda`.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conda_answers import CONDA

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
TARGET = "data/fashion-small/images.safetensors"
# Notes which environment was asked for, and leaves all as it is.
ACTIVATE = 'echo "$1" >> "{root}/activated"\n'


class Machine:
    """A checkout, and a machine whose only container runtime is the stand-in."""

    def __init__(self, folder: Path):
        self.checkout = folder / "workflow"
        self.root = folder / "image"
        commands = folder / "bin"
        for place in (self.root / "opt" / "conda" / "bin", commands):
            place.mkdir(parents=True)
        stand_in = shlex.join([sys.executable, str(HERE / "apptainer_command.py"), str(self.root)])
        for path, text in (
            (commands / "apptainer", f'#!/bin/sh\nexec {stand_in} "$@"\n'),
            (commands / "conda", CONDA),
            (self.root / "opt" / "conda" / "bin" / "activate", ACTIVATE.format(root=self.root)),
        ):
            path.write_text(text)
            path.chmod(0o755)
        # As packages of apptainer do; Snakemake asks for this name before it has looked for others.
        (commands / "singularity").symlink_to("apptainer")
        for place in re.findall(r"^RUN mkdir -p (/\S+)$", (ROOT / "Dockerfile").read_text(), re.M):
            (self.root / place[1:]).mkdir(parents=True)
        self.search = os.pathsep.join(
            (str(commands), str(Path(sys.executable).parent), os.environ["PATH"])
        )
        left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
        for name in ("config", "envs", "profiles", "report", "resources", "rules", "workflow"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=left_out)
        shutil.copy(ROOT / "Snakefile", self.checkout)

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "1", *words, "--", TARGET],
            cwd=self.checkout,
            env=os.environ | {"PATH": self.search},
            capture_output=True,
            text=True,
        )

    def noted(self, name: str) -> list[str]:
        """Return the lines of a note of the stand-in, and begin a new one."""
        path = self.root / name
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Machine:
    return Machine(tmp_path_factory.mktemp("containers"))


def scripts(machine: Machine) -> list[dict]:
    """Return the calls of the container that run a script of a rule."""
    calls = map(json.loads, machine.noted("calls"))
    return [call for call in calls if ".snakemake/scripts/" in call["command"]]


def test_an_image_of_a_registry_is_fetched(machine):
    done = machine.run("--sdm", "apptainer", "--config", "container=docker://example/image")
    assert done.returncode != 0
    assert "Failed to pull singularity image from docker://example/image" in done.stderr


def test_a_job_runs_in_the_image_with_its_python_as_the_lines_for_slurm_say(machine, tmp_path):
    page = (ROOT / "docs" / "containers.md").read_text()
    lines = re.findall(r"^    (\S+: .+)$", page, re.M)
    assert [line.partition(":")[0] for line in lines] == [
        "software-deployment-method",
        "apptainer-args",
    ]
    (tmp_path / "config.yaml").write_text("\n".join(lines))
    done = machine.run("--profile", str(tmp_path))
    assert done.returncode == 0, done.stderr
    (call,) = scripts(machine)
    assert call["image"] == "negmerge.sif"
    assert call["options"]["--home"] == [str(machine.checkout)]
    assert "--nv" in call["options"]
    assert re.search(r"; +python \S+\.prepare\.py$", call["command"])
    assert call["variables"] == {"PYTHONPATH": str(machine.checkout / "workflow" / "scripts")}
    assert machine.noted("activated") == []
    assert (machine.checkout / TARGET).exists()


def test_a_job_runs_in_the_environment_that_the_dockerfile_makes_for_its_rule(machine):
    done = machine.run("--sdm", "conda", "apptainer")
    assert done.returncode == 0, done.stderr
    assert len(scripts(machine)) == 1
    (environment,) = machine.noted("activated")
    place = environment.removeprefix(str(machine.root))
    assert f"COPY envs/data.yaml {place}/environment.yaml\n" in (ROOT / "Dockerfile").read_text()


def test_an_environment_that_the_image_lacks_ends_the_run(machine):
    path = machine.checkout / "envs" / "data.yaml"
    text = path.read_text()
    path.write_text(text.replace("  - safetensors", "  - tqdm\n  - safetensors"))
    done = machine.run("--sdm", "conda", "apptainer")
    path.write_text(text)
    assert done.returncode != 0
    assert "Unable to find environment in container image" in done.stderr
