"""The study `smoke` has everything of the paper study, and runs on a CPU without a network."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from negmerge.study import load_study

ROOT = Path(__file__).parents[2]
RULES = {
    rule
    for file in (ROOT / "rules").glob("*.smk")
    for rule in re.findall(r"^rule (\w+):", file.read_text(), re.M)
}
# Nothing answers there, so a job that asks the network for something fails at once.
NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY"), "http://127.0.0.1:9")

pytestmark = pytest.mark.xdist_group("smoke")


@pytest.fixture(scope="module")
def smoke():
    return load_study(ROOT / "config", "smoke")


@pytest.fixture(scope="module")
def paper():
    return load_study(ROOT / "config", "paper")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The study's results, in a copy of the workflow that keeps only what is needed."""
    folder = tmp_path_factory.mktemp("smoke")
    for part in ("rules", "config", "workflow", "envs", "report", "resources", "profiles"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / part, folder / part, ignore=ignored)
    shutil.copy(ROOT / "Snakefile", folder)
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--config", "keep=needed"]
    run = subprocess.run(
        [*command, "--", "results/smoke/report.html"],
        cwd=folder,
        env=os.environ | NOWHERE | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    yield folder / "results" / "smoke"
    shutil.rmtree(folder)


def tables(study):
    """What a reader sees of each table before any number: its rows and columns."""
    found = {}
    for name, table in study.tables.items():
        columns = [
            (column.label, column.rule, column.published and column.published.model_dump())
            for column in table.columns
        ]
        for _, _, cells in columns:
            # No number of `smoke` compares with the paper's, and the task of a column is another.
            if cells:
                del cells["comparable"]
        found[name] = table.kind, table.rows, columns
    return found


def test_every_table_of_the_paper_study_has_the_same_rows_and_columns(smoke, paper):
    ours, theirs = tables(smoke), tables(paper)
    assert {name: ours.get(name) for name in theirs} == theirs


def test_every_figure_of_the_paper_study_shows_the_same(smoke, paper):
    ours, theirs = (
        {name: (figure.kind, figure.methods) for name, figure in study.figures.items()}
        for study in (smoke, paper)
    )
    assert ours == theirs


def methods(study, scenario):
    """The methods of a scenario, with their options but for those that say how long to train."""
    short = ("epochs", "max_epochs")
    return {
        (name, use.search, tuple((k, v) for k, v in use.options.items() if k not in short))
        for experiment in study.experiments.values()
        if experiment.scenario == scenario
        for name, use in experiment.methods.items()
    }


@pytest.mark.parametrize("scenario", ["zero-shot", "classifier"])
def test_every_method_of_the_paper_study_is_used_with_its_options(smoke, paper, scenario):
    assert methods(smoke, scenario) == methods(paper, scenario)


def test_every_way_to_work_of_the_paper_study_is_there(smoke, paper):
    ours, theirs = (
        {
            (one.scenario, getattr(one, "mode", None), one.selection.rule, *one.selection.also)
            for one in study.experiments.values()
        }
        for study in (smoke, paper)
    )
    assert ours >= theirs


def test_every_rule_runs_but_those_that_fetch(results):
    timed = {path.name for path in results.rglob("benchmarks/*")}
    timed |= {path.name for path in results.parents[1].glob("data/benchmarks/*")}
    assert timed == RULES - {"download", "weights"}


def test_every_table_is_written_with_all_its_rows_and_columns(results, paper):
    for name, table in paper.tables.items():
        cells = pd.read_csv(results / "tables" / f"{name}.csv", keep_default_na=False)
        assert list(cells["row"].unique()) == list(table.rows.values())
        assert list(cells["column"].unique()) == [column.label for column in table.columns]
        measured = cells[cells["metric"].isin(["forget", "control", "zeros_state", "seconds"])]
        assert not measured.empty
        assert "NA" not in set(measured["value"])


def test_figures_and_report_are_written(results, paper):
    for name in paper.figures:
        assert (results / "figures" / f"{name}.png").stat().st_size > 0
    assert (results / "report.html").stat().st_size > 0


def test_no_checkpoint_is_left_that_nothing_needs(results):
    places = [path.relative_to(results) for path in results.rglob("*.safetensors")]
    folders = {place.parts[-2] for place in places}
    assert not folders & {"finetuned", "vectors", "merged", "unlearned"}
    assert {place.stem for place in places if place.parts[-2] == "trained"} == {
        "original",
        "retrain",
    }
