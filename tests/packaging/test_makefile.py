"""`make help` lists the targets, and a run that stops names the command that goes on."""

import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
from workflow_text import ROOT

# Without the flags and variables of a make that runs the tests.
KEPT = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}


def make(*words: str, **variables: str) -> str:
    """What make prints."""
    run = subprocess.run(
        ["make", *words], cwd=ROOT, env=KEPT | variables, capture_output=True, text=True, check=True
    )
    return run.stdout


def test_help_lists_every_target_on_a_line_of_80_columns():
    text = make("help")
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    assert re.findall(r"^make ([a-z-]+) +\S", text, re.M) == targets
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize(
    ("words", "variables", "again"),
    [
        (["STUDY=paper", "CORES=8"], {}, "make STUDY=paper CORES=8"),
        (["test-demo"], {"STUDY": "paper"}, "make test-demo STUDY=paper"),
    ],
)
def test_the_command_to_go_on_is_the_one_given(words, variables, again):
    planned = make("--dry-run", "--old-file", ".venv/.ready", *words, **variables)
    assert f'NEGMERGE_AGAIN="{again}" ' in planned


# A Python of another version, as far as the code that is given to it can see.
OTHER = """#!/bin/sh
exec {python} -c 'import sys
sys.version_info = {version}
code = sys.argv[2]
del sys.argv[1:3]
exec(code)' "$@"
"""


@pytest.mark.parametrize(("version", "is_allowed"), [((3, 10, 14), False), ((3, 13, 9), True)])
def test_another_python_ends_in_one_line(tmp_path, version, is_allowed):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python-of-mine"
    python.write_text(OTHER.format(python=sys.executable, version=version))
    python.chmod(0o755)
    command = ["make", "--silent", f"PYTHON={python}", ".venv/.ready"]
    run = subprocess.run(command, cwd=tmp_path, env=KEPT, capture_output=True, text=True)
    assert run.returncode == 2
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    line = f"Python {allowed} is needed, {python} is "
    # A Python that is allowed goes on to the installation, for which this one is no Python.
    assert run.stderr.startswith(line) == (not is_allowed)
