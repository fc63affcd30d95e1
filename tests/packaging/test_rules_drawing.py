"""docs/rules.svg shows the rules of the workflow as Snakemake knows them."""

import re
import subprocess
import sys
from xml.etree import ElementTree

from workflow_text import ROOT


def rulegraph(folder) -> tuple[set[str], set[tuple[str, str]]]:
    """Ask Snakemake for the rules that make the demo's report, and which of them use which."""
    command = (sys.executable, "-m", "snakemake", "--rulegraph", "mermaid-js")
    printed = subprocess.run(
        [*command, "--", "results/demo/report.html"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = dict(re.findall(r"^\s*(id\d+)\[(.*)\]$", printed, re.M))
    edges = re.findall(r"^\s*(id\d+) --> (id\d+)$", printed, re.M)
    pairs = {(names[start], names[end]) for start, end in edges}
    # Of some rules one job uses what another has made: an arrow from a box to itself says nothing.
    return set(names.values()), {(start, end) for start, end in pairs if start != end}


def reached(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Follow edges: pairs of which the second can be reached from the first."""
    while further := {(a, d) for a, b in edges for c, d in edges if b == c} - edges:
        edges = edges | further
    return edges


def test_the_drawing_has_the_rules_and_the_way_between_them(workflow):
    rules, edges = rulegraph(workflow)
    drawing = ElementTree.parse(ROOT / "docs" / "rules.svg")
    boxes = [one.get("data-rule") for one in drawing.iter() if one.get("data-rule")]
    arrows = {(one.get("data-from"), one.get("data-to")) for one in drawing.iter()}
    arrows.discard((None, None))
    assert sorted(boxes) == sorted(rules)
    assert arrows <= edges
    # Arrows that follow from others are left out.
    assert reached(arrows) == reached(edges)
