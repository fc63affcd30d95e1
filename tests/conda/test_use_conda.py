"""`snakemake --use-conda` with the project's own environments, solved and installed for real.

The study is that of `.test`.

Real: the files in `envs/` with their pins, all that Snakemake does with them, the solver and the
installer (py-rattler), the activation, and the jobs that then run in the environments.

Stood in for: the command `conda`, by `conda_command.py`, which passes on what Snakemake asks; and
the channels, which hold links to this machine's packages, and what pip knows of their requirements.
The package `python` is this machine's own, under the version that the files ask for.

So the environments fit together, hold what their rules import, and are used. That conda-forge has
these packages, and that they work together there, is not shown.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conda_channel import install_conda

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVS = sorted(path.stem for path in (ROOT / "envs").glob("*.yaml"))
TARGETS = ("results/small/tables/gap.md", "results/small/report.html")
RAN = {
    "data": {"prepare", "split"},
    "models": {"train", "finetune", "score"},
    "merging": {"merge"},
    "reporting": {"table", "report"},
}
# Runs the imports at the head of scripts, which reach the library, then all files to choose from.
IMPORTS = """
import ast, importlib, pathlib, sys
library = pathlib.Path("workflow/scripts").resolve()
sys.path.append(str(library))
for script in sys.argv[2:]:
    tree = ast.parse((library / f"{script}.py").read_text())
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    exec(compile(tree, script, "exec"), {})
for folder in filter(None, sys.argv[1].split(",")):
    for file in sorted((library / "negmerge" / folder).glob("*.py")):
        importlib.import_module(f"negmerge.{folder.replace('/', '.')}.{file.stem}")
"""
# What the rules of an environment choose by name, beside what their scripts import.
CHOICES = {
    "data": "data/sources",
    "merging": "merging/methods",
    "models": "scenarios,unlearning/methods",
    "reporting": "reporting/tables,reporting/figures",
}

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the command is a shell script")


class Checkout:
    """A copy of the workflow; `conda` is the folder of the command, environments lie beside it."""

    def __init__(self, folder: Path, conda: Path):
        self.folder = folder
        self.conda = conda
        self.environments = conda.parent / "environments"

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        search = f"{self.conda}{os.pathsep}{os.environ['PATH']}"
        use_conda = ["--use-conda", "--conda-prefix", self.environments]
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *use_conda, *arguments],
            cwd=self.folder,
            env=os.environ | {"PATH": search},
            capture_output=True,
            text=True,
        )

    def environment(self, name: str) -> Path:
        """Find the folder of an environment; Snakemake keeps a copy of the file beside it."""
        content = (self.folder / "envs" / f"{name}.yaml").read_bytes()
        (found,) = [
            path.with_suffix("")
            for path in self.environments.glob("*.yaml")
            if path.read_bytes() == content
        ]
        return found


def wanted_packages() -> tuple[set[str], str]:
    """Return the packages in the environment files, without versions, and the version of Python."""
    entries = {
        entry
        for env in ENVS
        for entry in yaml.safe_load((ROOT / "envs" / f"{env}.yaml").read_text())["dependencies"]
    }
    versions = dict(entry.split("=") for entry in entries)
    python = versions.pop("python")
    return set(versions), python


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """The workflow with all its environments, after a run that uses each of them."""
    home = tmp_path_factory.mktemp("conda")
    folder = tmp_path_factory.mktemp("checkout") / "workflow"
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in ("config", "docs", "envs", "profiles", "report", "resources", "rules", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=left_out)
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copy(ROOT / ".test/config/studies/small.yaml", folder / "config/studies")
    made = Checkout(folder, install_conda(home, *wanted_packages()))
    run = made.snakemake("--", *TARGETS)
    assert run.returncode == 0, run.stdout + run.stderr
    return made


def test_each_rule_runs_with_the_python_of_its_environment(checkout):
    for env, scripts in RAN.items():
        notes = (checkout.environment(env) / "ran").iterdir()
        commands = "\n".join(note.read_text() for note in notes)
        assert set(re.findall(r"\.snakemake/scripts/\w+\.(\w+)\.py", commands)) == scripts
    assert all((checkout.folder / target).stat().st_size for target in TARGETS)


@pytest.mark.parametrize("env", RAN)
def test_an_environment_alone_imports_what_its_rules_need(checkout, env):
    # Under Snakemake a job would also find the packages beside Snakemake itself.
    rules = "".join(path.read_text() for path in (ROOT / "rules").glob("*.smk"))
    pairs = re.findall(r'"\.\./envs/(\w+)\.yaml"(?:(?!\nrule).)*?/scripts/(\w+)\.py"', rules, re.S)
    scripts = [script for name, script in pairs if name == env]
    assert set(scripts) >= RAN[env]
    python = checkout.environment(env) / "bin" / "python"
    run = subprocess.run(
        [python, "-c", IMPORTS, CHOICES[env], *scripts], cwd=ROOT, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


def test_what_an_environment_does_not_list_is_not_there(checkout):
    python = checkout.environment("data") / "bin" / "python"
    run = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in run.stderr
