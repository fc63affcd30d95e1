"""The command `negmerge plan` in a copy of the workflow, where nothing has run."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from negmerge import plugins
from negmerge.cli import main
from negmerge.planning.layout import describe

ROOT = plugins.PACKAGE.parents[2]
HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


@pytest.fixture
def plan(workflow, monkeypatch, capsys):
    """A function that plans in the copy: exit status, what it printed, and its errors."""
    monkeypatch.chdir(workflow)

    def run(*words):
        status = main(["plan", *words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return run


def dry_run(*targets):
    """Count the jobs of each rule as Snakemake's own dry run does."""
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "reason", "--", *targets]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    stats = done.stdout.partition("Job stats:")[2].partition("total")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", stats, re.M)}


@pytest.mark.parametrize(
    ("study", "words", "targets"),
    [
        ("demo", (), ["results/demo/report.html"]),
        ("demo", ("results/demo/tables/table4.csv",), ["results/demo/tables/table4.csv"]),
        ("demo", ("pool-size",), [f"results/demo/{x}" for x in ("tables/pool-size.md",
                                                               "figures/pool-size.png")]),
        ("paper", ("table2",), ["results/paper/tables/table2.md"]),
    ],
)  # fmt: skip
def test_the_jobs_are_those_of_a_dry_run(plan, study, words, targets):
    status, out, err = plan(study, *words, "--json")
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["targets"] == targets
    assert {step["rule"]: step["jobs"] for step in found["steps"]} == dry_run(*targets)
    assert all(step["to_do"] == step["jobs"] for step in found["steps"])
    assert all(step["basis"] for step in found["steps"])
    sums = {"gpu": 0, "cpu": 0}
    for step in found["steps"]:
        sums[step["unit"]] += step["hours_all"]
    assert {unit: row["all"] for unit, row in found["hours"].items()} == pytest.approx(sums)
    assert (sums["gpu"] > 0) == (study == "paper")


def test_what_would_fail_late_is_said_before_anything_is_planned(plan):
    studies = Path("config/studies")
    demo = (studies / "demo.yaml").read_text()
    late = re.sub(r"^( +)warmup_steps: 100$", r"\1warmup_steps: 10000", demo, flags=re.MULTILINE)
    assert late != demo
    (studies / "late.yaml").write_text(late)
    status, out, err = plan("late")
    assert (status, out) == (1, "")
    assert re.fullmatch(
        r"error: config/studies/late\.yaml: experiments\.mini-clip\.pretrain\.recipe: "
        r"warmup_steps is 10000, but .* are \d+ steps; expected at most \d+\n",
        err,
    )


# The paper study: 8 tasks of CLIP in 4 pools of 30 models and 3 of one, and 12 tasks of
# classifiers, each with a pool of 27.
PAPER_JOBS = {
    "download": 26,
    "weights": 3 + 2,
    "prepare": 8 + 4,
    "base": 7,
    "head": 7 * (8 + 1),
    "split": 12,
    "train": 2 * 12,
    "finetune": 8 * (4 * 30 + 3) + 12 * 27,
    "vector": 8 * (4 * 30 + 3) + 12 * 27,
    "merge": 8 * (18 + 5 + 5 + 4) + 12 * 5 + 3 * 2,
    "greedy": 8 * 4 + 12,
    "sparsity": 8 * (3 * 4 + 3) + 3 * 6,
    # The rule `gap` needs whole sweeps, also of what no figure draws.
    "sweep": 8 * (4 * 30 + 3 + 6 + 5 + 5 + 5) + 12 * (27 + 6) + 3 * 2,
    "search": 8 * 13,
    "measure": 12,
    "unlearn": 12 * 13,
    # Classifiers: 7 merges and 13 methods that train by two rules, and two models as they are.
    "select": 8 * (21 + 3 * 7 + 3 * 2) + 12 * (20 * 2 + 2) + 3 * 2,
    "evaluate": 8 * (21 + 3 * 7 + 3 * 2) + 12 * (20 * 2 + 2) + 3 * 2,
    "gradcam": 3,
    "signs": 1,
    "table": 13,
    "figure": 7,
    "dag": 1,
    "report": 1,
}


def test_the_jobs_of_the_whole_paper(plan):
    _, out, _ = plan("paper", "--json")
    assert {step["rule"]: step["jobs"] for step in json.loads(out)["steps"]} == PAPER_JOBS


def test_what_jobs_took_stands_beside_what_was_assumed(plan, workflow):
    folder = workflow / "results/demo/benchmarks/finetune/mini-clip/digits"
    folder.mkdir(parents=True)
    for point, seconds, memory in (("m1-n1", 10, "400.5"), ("m1-n3", 20, "-")):
        row = f"{seconds}\t0:00:10\t{memory}\t-\t-\t-\t-\t-\t-\t9\n"
        (folder / f"{point}.tsv").write_text(HEAD + row)
    try:
        _, out, _ = plan("demo", "table4", "--json")
    finally:
        shutil.rmtree(workflow / "results")
    found = json.loads(out)
    steps = {step["rule"]: step for step in found["steps"]}
    each = steps["finetune"]["seconds_most"]
    assert steps["finetune"]["measured"] == pytest.approx(
        {"jobs": 2, "seconds_mean": 15, "hours": 30 / 3600, "memory_mb": 400.5}
        | {"assumed_hours": 2 * each / 3600}
    )
    assert steps["merge"]["measured"] is None
    lines = [" ".join(line.split()) for line in describe(found)]
    assert lines[3].endswith("measured s a job hours assumed MB at most")
    (finetune,) = (line for line in lines if line.startswith("finetune "))
    assert re.search(r" CPU h 2 15\.0 < 0\.01 (< )?0\.\d+ 400$", finetune)


def test_a_plan_tells_what_it_assumes(plan):
    _, out, _ = plan("paper", "results/paper/vit-b-32/dtd/scores/negmerge-n3.json")
    assert "Estimates" in out.splitlines()[1]
    for text in ("GPU h", "by hand: data/downloads/imagenet/ILSVRC2012_img_train.tar: ",
                 "epochs x images to forget", "ViT-B-32 ", "estimate: ",
                 "Longest chain", "At the end "):  # fmt: skip
        assert text in out
    assert "measured" not in out.splitlines()[3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["demoo"], "config/studies/demoo.yaml: unknown study 'demoo'; did you mean 'demo'?"),
        (["demo", "tabel1"], "unknown table or figure 'tabel1'; did you mean 'table1'?"),
        (["demo", "results/demo/nothing.md"], "Snakemake: MissingRuleException"),
        (["demo", "results/demo/tables/tabel1.md"], "unknown table 'tabel1'; did you mean"),
        (["demo", "results/paper/tables/table-c.md"], "not in results/demo/"),
    ],
)
def test_a_mistake_is_one_line(plan, words, message):
    status, out, err = plan(*words)
    assert (status, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_it_needs_a_workflow_and_snakemake(plan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "no Snakefile in this folder" in plan("demo")[2]
    Path("Snakefile").touch()
    monkeypatch.setattr("negmerge.planning.jobs.find_spec", lambda name: None)
    assert "Snakemake is not installed" in plan("demo")[2]


def test_assumptions_are_checked(plan, workflow, change_yaml):
    path = workflow / "config" / "costs.yaml"
    before = path.read_text()
    try:
        change_yaml(path, "training/source", None)
        assert "config/costs.yaml: the key training.source is missing" in plan("demo", "table4")[2]
    finally:
        path.write_text(before)
