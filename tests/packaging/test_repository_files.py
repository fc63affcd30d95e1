"""Files for GitHub, pre-commit, editors and those who cite: valid, and in step with the project."""

import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from workflow_text import ROOT

from negmerge.cli import COMMANDS

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
CHOOSER = ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"
FORMS = sorted(set(CHOOSER.parent.glob("*.yml")) - {CHOOSER})
# The schemas that their readers publish, as check-jsonschema brings them.
SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": FORMS,
    "github-issue-config": [CHOOSER],
    "citation-file-format": [ROOT / "CITATION.cff"],
}


def valid(schema, files) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    return subprocess.run([*command, *files], capture_output=True, text=True)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_fit_the_schemas_of_their_readers(schema):
    assert SCHEMAS[schema]
    done = valid(schema, SCHEMAS[schema])
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_run_targets_of_the_makefile_and_nothing_else(path):
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    ran = []
    for job in yaml.safe_load(path.read_text())["jobs"].values():
        chosen = job.get("strategy", {}).get("matrix", {}).get("target", [""])
        for line in [step["run"] for step in job["steps"] if "run" in step]:
            ran += [line.replace("${{ matrix.target }}", target) for target in chosen]
    assert ran
    assert set(ran) <= {f"make {target}" for target in targets}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_ask_for_a_command_that_there_is(path):
    text = path.read_text()
    assert "`.venv/bin/python -m negmerge.reporting.runtime`" in text
    assert set(re.findall(r"`negmerge ([\w-]+)", text)) <= set(COMMANDS)


def test_the_changes_begin_with_this_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert first == project["version"]
