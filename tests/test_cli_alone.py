"""The command where only the plain package is installed, without its extras."""

import json
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions, requires

import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from safetensors.torch import load_file, save_file

from negmerge import plugins
from negmerge.vectors import apply

PROJECT = plugins.PACKAGE.parents[2] / "pyproject.toml"
# Run the command as if the packages of a list were not there.
CODE = """
import importlib.abc, json, sys
hidden, *words = sys.argv[1:]
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in json.loads(hidden):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hide())
from negmerge.cli import main
sys.exit(main(words))
"""


def with_needs(names: list[str], found: set[str]) -> set[str]:
    """Add to the packages that were found others, and all that they require."""
    for requirement in map(Requirement, names):
        name = canonicalize_name(requirement.name)
        wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if wanted and name not in found:
            found.add(name)
            with_needs(requires(name) or [], found)
    return found


@pytest.fixture(scope="module")
def hidden():
    """The modules that the plain package does not bring."""
    plain = tomllib.loads(PROJECT.read_text())["project"]["dependencies"]
    there = with_needs(plain, {"negmerge"})
    homes = packages_distributions().items()
    return [module for module, names in homes if not there & set(map(canonicalize_name, names))]


@pytest.fixture
def run(hidden, tmp_path):
    """A function that runs a command and gives its exit status, output and errors."""

    def run(words: str):
        command = [sys.executable, "-c", CODE, json.dumps(hidden), *words.split()]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr

    return run


def test_a_pool_is_merged_and_subtracted(run, tmp_path):
    assert run("methods")[0] == 0
    base = {"w": torch.zeros(3), "norm.running_mean": torch.ones(2)}
    save_file(base, tmp_path / "base")
    for name, numbers in (("a", [1.0, -2.0, 3.0]), ("b", [2.0, 2.0, 1.0])):
        save_file(base | {"w": torch.tensor(numbers)}, tmp_path / name)
    assert run("inspect a b --base base")[0] == 0
    assert run("merge negmerge a b --base base -o vector")[0] == 0
    assert run("negate base vector 0.5 -o unlearned")[0] == 0
    assert run("unlearn base a b -o at-once --coefficient 0.5")[0] == 0
    expected = apply(base, {"w": torch.tensor([1.5, 0.0, 2.0])}, -0.5)
    for name in ("unlearned", "at-once"):
        found = load_file(tmp_path / name)
        assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_a_command_for_studies_names_the_extra(run):
    assert run("plan demo") == (
        1,
        "",
        "error: `negmerge plan` needs snakemake, which is not installed: "
        "pip install 'negmerge[workflow]'\n",
    )
