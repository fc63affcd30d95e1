"""The study `smoke` runs on a CPU without a network, to every table and figure of the paper."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from negmerge.settings.study import load_study
from recomputation.checks import NUMBERS, recompute

ROOT = Path(__file__).parents[2]
RULES = {
    rule
    for file in (ROOT / "rules").glob("*.smk")
    for rule in re.findall(r"^rule (\w+):", file.read_text(), re.M)
}
# No step on the way to the report, but there for whoever asks for it.
UNLEARNED = "results/smoke/resnet-18/trial1/unlearned/negmerge.safetensors"
# Nothing answers there, so a job that asks the network for something fails at once.
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def paper():
    return load_study(ROOT / "config", "paper")


@pytest.fixture(scope="module")
def results(workflow):
    """The study's results, of a run that keeps only what is needed."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "checkpoints=needed"]
    run = subprocess.run(
        [*command, "--", "results/smoke/report.html", UNLEARNED],
        cwd=workflow,
        env=os.environ | NOWHERE | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return workflow / "results" / "smoke"


# Rules that fetch, and those of models that others trained, of which the paper study has none.
ELSEWHERE = {"download", "weights", "vector", "original"}


def test_all_other_rules_run(results):
    timed = {path.name for path in results.rglob("benchmarks/*")}
    timed |= {path.name for path in results.parents[1].glob("data/benchmarks/*")}
    assert timed == RULES - ELSEWHERE


def test_every_table_is_written_with_all_its_rows_and_columns(results, paper):
    for name, table in paper.tables.items():
        cells = pd.read_csv(results / "tables" / f"{name}.csv", keep_default_na=False)
        # How much there is to forget is of a column, and of no row.
        cells = cells[cells["metric"] != "to_forget"]
        assert list(cells["row"].unique()) == list(table.rows.values())
        assert list(cells["column"].unique()) == [column.label for column in table.columns]
        measured = cells[cells["metric"].isin(["forget", "control", "zeros_state", "seconds"])]
        assert not measured.empty
        assert "NA" not in set(measured["value"])


def test_figures_and_report_are_written(results, paper):
    for name in paper.figures:
        assert (results / "figures" / f"{name}.png").stat().st_size > 0
    assert (results / "report.html").stat().st_size > 0


def test_numbers_are_those_that_the_files_give(results):
    report = recompute(results, NUMBERS)
    print("", *report.lines(), sep="\n")
    assert not report.problems()


def test_no_checkpoint_is_left_that_nothing_needs(results):
    places = [path.relative_to(results) for path in results.rglob("*.safetensors")]
    folders = {place.parts[-2] for place in places}
    assert not folders & {"finetuned", "vectors", "merged", "candidates"}
    assert {place.stem for place in places if place.parts[-2] == "trained"} == {
        "original",
        "retrain",
    }
