"""What stands in documents, and in files for GitHub and those who cite, is right."""

import hashlib
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from workflow_text import ROOT, rules

from negmerge.cli import COMMANDS

SHIPPED = ROOT / "resources" / "fashion-mnist"


def documents():
    """List the documents of the repository."""
    folders = ("", "config", "docs", "docs/dev", "profiles", "resources/fashion-mnist", "results")
    return [path for folder in folders for path in sorted((ROOT / folder).glob("*.md"))]


def test_links_between_files_lead_somewhere():
    for document in documents():
        for target in re.findall(r"\]\(([^)#]+)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document}: {target}"


def test_the_checksums_of_the_shipped_images_are_right():
    rows = re.findall(
        r"^\| `(\S+)` \| [\d,]+ \| `(\w{64})` \|$", (SHIPPED / "README.md").read_text(), re.M
    )
    assert {name for name, _ in rows} == {path.name for path in SHIPPED.glob("*.gz")}
    for name, checksum in rows:
        assert hashlib.sha256((SHIPPED / name).read_bytes()).hexdigest() == checksum


def test_the_page_on_results_lists_every_result_with_its_rule():
    text = (ROOT / "results" / "README.md").read_text()
    listed = {
        (place.partition(".")[0], rule)
        for place, rule in re.findall(r"^\| `(.+?)` .*\| `(\w+)` \|$", text, re.M)
    }
    made = {
        (place.partition(".")[0], name)
        for name, rule in rules().items()
        for place in re.findall(r'"results/([^"]+)"', rule.get("output", ""))
    }
    assert listed == made


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


@pytest.mark.parametrize("schema", SCHEMAS)
def test_files_fit_the_schemas_of_their_readers(schema):
    assert SCHEMAS[schema]
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run([*command, *SCHEMAS[schema]], capture_output=True, text=True)
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


def test_the_citation_and_the_changes_have_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert citation["version"] == first == project["version"]
    assert citation["license"] == project["license"]
