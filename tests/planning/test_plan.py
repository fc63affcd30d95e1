"""The command `negmerge plan` in a copy of the workflow, where nothing has run."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from negmerge.cli import main
from negmerge.planning.chains import behind, longest_chain, makespan
from negmerge.planning.describing import describe
from negmerge.planning.jobs import Job


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
    for kind in ("estimate", "at_most"):
        total = sum(step["hours"][kind] for step in found["steps"])
        assert sum(row[kind] for row in found["hours"].values()) == pytest.approx(total)
    on_gpu = study == "paper"
    assert (found["hours"]["gpu"]["estimate"] > 0) == bool(found["gpu_memory"]) == on_gpu


def test_what_would_fail_late_is_said_before_anything_is_planned(plan):
    studies = Path("config/studies")
    demo = (studies / "demo.yaml").read_text()
    late = re.sub(r"^( +)warmup_steps: 100$", r"\1warmup_steps: 10000", demo, flags=re.MULTILINE)
    assert late != demo
    (studies / "late.yaml").write_text(late)
    status, out, err = plan("late")
    assert (status, out) == (1, "")
    assert re.fullmatch(
        r"error: \S*config/studies/late\.yaml: experiments\.mini-clip\.pretrain\.recipe: "
        r"warmup_steps is 10000, but .* are \d+ steps; expected at most \d+\n",
        err,
    )


# The paper study: 8 tasks of CLIP in 4 pools of 30 models and 3 of one, and 12 tasks of
# classifiers, each with a pool of 27.
PAPER_JOBS = {
    # Of Cars and SUN397 the archive of a mirror, in place of the six files of the originals.
    "download": 26 - 6 + 2,
    "weights": 3 + 2,
    "prepare": 8 + 4,
    "base": 7,
    "head": 7 * (8 + 1),
    "split": 12,
    "train": 2 * 12,
    "finetune": 8 * (4 * 30 + 3) + 12 * 27,
    "merge": 8 * (18 + 5 + 5 + 4) + 12 * 5 + 3 * 2,
    "greedy": 8 * 4 + 12,
    # One for all rows of a table: of `table4`, and of `mask`.
    "sparsity": 8 * (3 + 1) + 3,
    # Figures draw whole sweeps of ViT-B/32, and the rule `gap` needs them of all that it chooses.
    "sweep": 8 * (30 + 4) + 12 * (27 + 6 + 1) + 3 * 2,
    "search": 8 * (13 + 2 + 3 * 6 + 3 * 1),
    "unlearn": 12 * 13,
    # A method is chosen and scored by all rules at once; what is left as it is, is only scored.
    # The rule unlearn chooses itself.
    "select": 8 * (20 + 3 * 6 + 3 * 1) + 12 * 7 + 3 * 2,
    "evaluate": 8 * (21 + 3 * 7 + 3 * 2) + 12 * (20 + 2) + 3 * 2,
    "gradcam": 3,
    "signs": 1,
    "table": 13,
    "figure": 7,
    "report": 1,
}


def test_the_jobs_of_the_whole_paper(plan):
    _, out, _ = plan("paper", "--json")
    assert {step["rule"]: step["jobs"] for step in json.loads(out)["steps"]} == PAPER_JOBS


def test_a_plan_tells_what_the_jobs_ask_for(plan):
    _, out, _ = plan("paper", "results/paper/vit-b-32/gtsrb/scores/negmerge-n3.json")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if " GPU h" in line}
    assert rows["finetune"][1:3] == ["10", "10"]
    for text in ("Hours are rough estimates, from config/costs.yaml. A job may take 3 times",
                 "by hand: data/downloads/imagenet/ILSVRC2012_img_train.tar: Get it from ",
                 "data/downloads/gtsrb: 3 files, 0.28 GB", "GPU h to do: ", "Longest chain",
                 "on one GPU of the A100 class", "Memory of a GPU that one job needs at most",
                 "  ViT-B-32: ", "grad_accum_steps", "Disk: ",
                 "assumed large: imagenet/ILSVRC2012_devkit_t12.tar.gz"):  # fmt: skip
        assert text in out
    assert "resisc45" not in out


def test_a_plan_needs_no_given_model_and_names_those_that_are_missing(plan):
    _, out, _ = plan("released-cars")
    rows = {line.split()[0]: line.split() for line in out.splitlines() if "PU h" in line}
    assert rows["vector"][1:3] == ["30", "30"]
    assert not {"finetune", "train", "greedy"} & rows.keys()
    assert "by hand: data/released/zeroshot.pt and 30 more: no such file or folder" in out


def test_what_a_model_costs_that_says_nothing_is_named(plan, workflow, change_yaml):
    path = workflow / "config" / "models.yaml"
    before = path.read_text()
    try:
        change_yaml(path, "mini-clip/cost", None)
        _, out, _ = plan("demo", "table4")
    finally:
        path.write_text(before)
    assert "Of unknown size, assumed large: model mini-clip" in out


def test_a_plan_says_what_took_how_long_and_what_may_go(plan):
    _, out, _ = plan("demo", "table4", "--json")
    found = json.loads(out)
    assert found["done"] == {"jobs": 0, "hours": 0}
    found["done"] = {"jobs": 2, "hours": 1.5}
    for dropped in (0, 7):
        found["disk"]["dropped"] = dropped
        lines = list(describe(found))
        assert "Took so far: 1.5 h for 2 jobs" in lines
        (disk,) = (line for line in lines if line.startswith("Disk: "))
        assert ("of which 7.0 GB are deleted as soon as no job needs them" in disk) == bool(dropped)


def job(name, seconds, *after, threads=1):
    """A job that makes a file of its name."""
    rest = {"by_hand": None, "log": None, "benchmark": None, "after": after}
    return Job(name, {}, threads, (name,), True, seconds, 1, 0, False, False, **rest)


def test_the_longest_chain_follows_the_files():
    short, long = job("short", 1), job("long", 5)
    both, other = job("both", 2, short, long), job("other", 6)
    assert longest_chain([short, long, both, other]) == [long, both]
    # What is done takes no time any more.
    assert longest_chain([short, both, other]) == [other]
    assert longest_chain([]) == []


def test_jobs_share_cores():
    first, second = job("first", 3), job("second", 5)
    last = job("last", 2, first)
    assert [makespan([first, second, last], cores) for cores in (1, 2, 8)] == [10, 5, 5]
    wide = job("wide", 4, threads=2)
    # One that takes more cores than there are takes all of them.
    assert [makespan([second, wide, last], cores) for cores in (1, 2, 3)] == [11, 9, 6]
    assert makespan([], 2) == 0


def test_what_a_file_needs_is_behind_it():
    first, second = job("first", 3), job("second", 5)
    last = job("last", 2, first)
    assert behind([first, second, last], {"last", "other"}) == [last, first]
    assert behind([first, second, last], {"other"}) == []


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


def test_costs_are_checked(plan, workflow, change_yaml):
    path = workflow / "config" / "costs.yaml"
    before = path.read_text()
    try:
        change_yaml(path, "training/source", None)
        assert "config/costs.yaml: the key training.source is missing" in plan("demo", "table4")[2]
    finally:
        path.write_text(before)
