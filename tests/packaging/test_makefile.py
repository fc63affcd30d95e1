"""`make help` lists the targets, and a run that stops names the command that goes on."""

import os
import re
import subprocess

import pytest
from workflow_text import ROOT


def make(*words: str, **variables: str) -> str:
    """What make prints, without the flags and variables of a make that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    run = subprocess.run(
        ["make", *words], cwd=ROOT, env=kept | variables, capture_output=True, text=True, check=True
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
        ([], {}, "make"),
        (["STUDY=paper", "CORES=8"], {}, "make STUDY=paper CORES=8"),
        (["test-demo"], {"STUDY": "paper"}, "make test-demo STUDY=paper"),
    ],
)
def test_the_command_to_go_on_is_the_one_given(words, variables, again):
    planned = make("--dry-run", "--old-file", ".venv/.ready", *words, **variables)
    assert f' --logger-negmerge-again "{again}" ' in planned
