"""What stands in documents, and in files for GitHub and those who cite, is right."""

import hashlib
import json
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from workflow_text import ROOT, rules

from negmerge import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SHIPPED = ROOT / "resources" / "fashion-mnist"


def documents():
    """List the documents of the repository."""
    shipped = "resources/fashion-mnist", "resources/facts"
    folders = ("", "config", "docs", "docs/dev", "profiles", *shipped, "results")
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


def test_workflows_run_targets_of_the_makefile_and_nothing_else():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()
    ran = set()
    for path in WORKFLOWS:
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            chosen = job.get("strategy", {}).get("matrix", {}).get("target", [""])
            for step in job["steps"]:
                ran |= {step.get("run", "").replace("${{ matrix.target }}", one) for one in chosen}
    assert {"make lint", "make test", "make test-conda", "make image", "make audit"} <= ran
    assert ran <= {f"make {target}" for target in targets} | {""}


def test_the_tests_run_on_each_python_that_the_package_allows():
    tests = yaml.safe_load((WORKFLOWS[0].parent / "tests.yml").read_text())["jobs"]["test"]
    versions = tests["strategy"]["matrix"]["python"]
    low, high = re.findall(r"3\.(\d+)", PROJECT["requires-python"])
    assert versions == [f"3.{minor}" for minor in range(int(low), int(high))]


def test_the_version_of_the_package_stands_wherever_it_is_cited():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    archive = json.loads((ROOT / ".zenodo.json").read_text())
    released = json.loads((ROOT / ".github/release-please-manifest.json").read_text())["."]
    first = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), re.M)[1]
    assert {citation["version"], archive["version"], released, first} == {__version__}
    assert citation["license"] == archive["license"] == PROJECT["license"]
    assert (archive["title"], archive["keywords"]) == (citation["title"], citation["keywords"])
    assert archive["creators"] == citation["authors"] == PROJECT["authors"]
    text = " ".join(citation["abstract"].split())
    assert text.startswith(archive["description"])
    doi = citation["references"][0]["identifiers"][0]["value"]
    assert archive["related_identifiers"][0]["identifier"] == doi
