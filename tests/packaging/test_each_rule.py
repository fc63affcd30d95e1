"""What each rule says, which of them follow each other, and what is fetched."""

import re
import subprocess
from xml.etree import ElementTree

import yaml
from workflow_text import ROOT, SCRIPTS, TARGETS, rules, text_of

from negmerge.jobs import needs
from tiny_study import PYTHON

JOBS = {name: rule for name, rule in rules().items() if name not in TARGETS}
# What can build any object that a file asks for. Ruff looks for other unsafe calls.
LOADING = re.compile(r"\btorch\.load\(.*")
BY_OTHERS = {"Swin-T", "ResNet-18-224", "ViT-B-32", "ViT-B-16", "ViT-L-14"}


def snakemake(folder, *words):
    """Run Snakemake in a folder; give what it prints."""
    command = [PYTHON, "-m", "snakemake", *words]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout + run.stderr


def test_every_rule_runs_a_script_and_says_what_it_needs():
    wanted = {"script", "log", "benchmark", "conda", "threads", "resources"}
    assert len(JOBS) > 10
    for name, rule in rules().items():
        assert not {"shell", "run", "notebook", "wrapper", "cwl"} & rule.keys(), name
    for name, rule in JOBS.items():
        assert wanted <= set(rule), name
        (step,) = re.findall(r"^\*\*needs\(work\.(\w+)", rule["resources"])
        # A plan finds the step by the name of the rule.
        assert needs.step_of(name) is getattr(needs, step), name
        assert (ROOT / "rules" / text_of(rule["conda"])).resolve().is_file(), name
        if "gpu=True" in rule["resources"]:
            # A benchmark's log, which says how long its job waited for a GPU, is found by its name.
            place = text_of(rule["log"]).replace("/logs/", "/benchmarks/")
            assert text_of(rule["benchmark"]) == place.replace(".log", ".tsv"), name


def test_scripts_and_library_load_tensors_only():
    calls = [call for path in SCRIPTS.rglob("*.py") for call in LOADING.findall(path.read_text())]
    assert calls
    assert all("weights_only=True" in call for call in calls), calls


def test_the_downloads_of_the_paper_are_its_files_and_the_weights_of_others():
    words = ["--dry-run", "--cores", "1", "--config", "study=paper", "--forceall", "--"]
    printed = snakemake(ROOT, *words, "downloads")
    planned = set(re.findall(r"^Job \d+: (\w+): (.*)$", printed, re.M))
    assert {what for rule, what in planned if rule == "weights"} == BY_OTHERS
    rows = yaml.safe_load((ROOT / "config" / "datasets.yaml").read_text())
    files = {
        f"{name}, {file['name']}"
        for name in ("svhn", "cifar10", "imagenet", "cub")
        for file in rows[name]["files"].values()
    }
    assert files <= {what for rule, what in planned if rule == "download"}
    assert {rule for rule, _ in planned} == {"download", "weights"}


def reached(edges: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Follow edges: pairs of which the second can be reached from the first."""
    while further := {(a, d) for a, b in edges for c, d in edges if b == c} - edges:
        edges = edges | further
    return edges


def test_the_drawing_has_the_rules_and_the_way_between_them(workflow):
    target = "results/demo-full/report.html"
    printed = snakemake(workflow, "--rulegraph", "mermaid-js", "--", target)
    names = dict(re.findall(r"^\s*(id\d+)\[(.*)\]$", printed, re.M))
    edges = re.findall(r"^\s*(id\d+) --> (id\d+)$", printed, re.M)
    pairs = {(names[start], names[end]) for start, end in edges}
    # Of some rules one job uses what another has made: an arrow from a box to itself says nothing.
    edges = {(start, end) for start, end in pairs if start != end}
    drawing = ElementTree.parse(ROOT / "docs" / "rules.svg")
    boxes = [part.get("data-rule") for part in drawing.iter() if part.get("data-rule")]
    arrows = {(part.get("data-from"), part.get("data-to")) for part in drawing.iter()}
    arrows.discard((None, None))
    assert sorted(boxes) == sorted(names.values())
    assert arrows <= edges
    # Arrows that follow from others are left out.
    assert reached(arrows) == reached(edges)
