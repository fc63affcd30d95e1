"""What stands in documents and can be checked is right."""

import hashlib
import re
import tomllib

import yaml
from workflow_text import ROOT, rules

SHIPPED = ROOT / "resources" / "fashion-mnist"


def documents():
    """List the documents of the repository."""
    folders = ("", "config", "docs", "profiles", "resources/fashion-mnist", "results")
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


def test_the_citation_has_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"]


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
