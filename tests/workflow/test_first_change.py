"""After a typical change of the demo exactly the jobs run again that depend on it.

docs/tutorial.md tells of these changes. Nothing is computed: all files of `demo` and of
`demo-full`, which extends it, are there, empty, and `snakemake --touch` has noted of what they
would have been made.
"""

import contextlib
import re

import pytest

from negmerge.jobs.listing import list_jobs
from tiny_study import ROOT, Checkout

STUDY = "config/studies/demo.yaml"
REPORT, FULL = "results/demo/report.html", "results/demo-full/report.html"
CHANGE = (
    "l1-sparse: {epochs: 1, learning_rate: 0.02,",
    "l1-sparse: {epochs: 1, learning_rate: 0.1,",
)


@pytest.fixture(scope="module")
def fresh(checkout, tmp_path_factory) -> Checkout:
    """The demo before any run."""
    return checkout.copy(tmp_path_factory.mktemp("demo") / "workflow")


@pytest.fixture(scope="module")
def everything(fresh) -> set[str]:
    """All jobs of `demo-full`."""
    return fresh.planned(FULL)


@pytest.fixture(scope="module")
def demo(fresh, everything) -> Checkout:
    """Both studies as if they had been made."""
    with contextlib.chdir(fresh.folder):
        jobs = list_jobs([REPORT, FULL])
    for job in jobs:
        for place in (*job.outputs, job.benchmark):
            file = fresh.folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    run = fresh.snakemake("--touch", "--forceall", "--cores", "1", "--", REPORT, FULL)
    assert run.returncode == 0, run.stderr
    return fresh


@pytest.fixture
def after(demo):
    """A function that edits `demo` and returns the jobs that a report would run."""
    path = demo.folder / STUDY
    before = path.read_text()

    def plan(report: str, *edits: tuple[str, str]) -> set[str]:
        for old, new in edits:
            demo.edit(STUDY, old, new)
        return demo.planned(report)

    yield plan
    path.write_text(before)


def jobs(text: str) -> set[str]:
    """Read jobs: a rule a line, and of what, by commas as in its message, separated by `;`."""
    lines = [line.strip().split(": ") for line in text.strip().splitlines()]
    return {f"{rule}: {name}" for rule, names in lines for name in names.split("; ")}


def test_the_change_of_the_page(after):
    found = after(REPORT, CHANGE)
    assert found == jobs("""
        unlearn: mini-resnet, trial1, l1-sparse
        evaluate: mini-resnet, trial1, l1-sparse
        table: table2; run-times
        figure: gap
        report: demo
    """)
    page = (ROOT / "docs" / "tutorial.md").read_text()
    (counts,) = re.findall(r"^(\d+) jobs run: (.*?)\. ", page, re.M)
    rules = [job.partition(":")[0] for job in found]
    named = ", ".join(f"{rules.count(rule)} `{rule}`" for rule in sorted(set(rules)))
    assert counts == (str(len(found)), named)


def of(everything: set[str], experiment: str, *rules: str) -> set[str]:
    """Pick the jobs of some rules, of one experiment where the rule has any."""
    places = tuple(f"{rule}: {experiment}, " for rule in rules)
    return {job for job in everything if job.startswith(places)}


CHOSEN = {"report: demo-full"} | {
    f"table: {table}"
    for table in ("table1", "table3", "mask", "beyond", "pool-size", "pool-composition", "lasting")
}
PICTURES = ("figure1a", "figure1b", "figure3", "pool-size", "survival")
DRAWN = {f"figure: {name}" for name in PICTURES}
AGAIN = ("sweep", "score", "evaluate", "durability", "gradcam")
# What goes by a choice, and what tells of it.
BY_CHOICE = jobs("""
    greedy: mini-clip, digits, greedy; mini-clip, letters, greedy; mini-clip, digits, mean-best
    merge: mini-clip, digits, masked-single
    unlearn: mini-clip, digits, atlas
    sparsity: mini-clip, digits, mask
    table: merge-times
""")
BASE = jobs("""
    evaluate: mini-clip, digits, pretrained; mini-clip, letters, pretrained
    evaluate: mini-clip, digits, gradfix; mini-clip, digits, simplex
    durability: mini-clip, digits, pretrained
""")


def test_the_grid_of_coefficients(after, everything):
    found = after(
        FULL,
        ("coefficients: &grid {step: 0.15, stop: 1.5}", "coefficients: {step: 0.1}"),
        ("coefficients: *grid", "coefficients: {step: 0.15, stop: 1.5}"),
    )
    # A later request starts from what NegMerge has left of the digits.
    later = {job for job in everything if "mini-clip-later" in job}
    later |= jobs("""
        export: mini-clip, digits, negmerge
        table: history
    """)
    own = of(everything, "mini-clip", *AGAIN) - BASE
    assert found == own | CHOSEN | DRAWN | BY_CHOICE | later
