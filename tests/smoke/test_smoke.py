"""The study `smoke` runs on a CPU without a network, to every table and figure of the paper."""

import re
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from negmerge.settings.study import load_study
from recomputation import NUMBERS, recompute
from tiny_study import PYTHON

ROOT = Path(__file__).parents[2]
RULES = {
    rule
    for file in (ROOT / "rules").glob("*.smk")
    for rule in re.findall(r"^(?:rule|use rule \w+ as) (\w+)", file.read_text(), re.M)
}
# No step on the way to the report, but there for whoever asks for it.
UNLEARNED = "results/smoke/resnet-18/trial1/unlearned/negmerge.safetensors"


@pytest.fixture(scope="module")
def paper():
    return load_study(ROOT / "config", "paper")


def snakemake(folder, *arguments):
    """Run Snakemake in a copy of the workflow, where only what is needed stays."""
    command = [PYTHON, "-m", "snakemake", "--cores", "2", "--config", "checkpoints=needed"]
    run = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def results(workflow):
    """The study's results."""
    snakemake(workflow, "--", "results/smoke/report.html", UNLEARNED)
    return workflow / "results" / "smoke"


# Rules that fetch, those of models that others trained, of language models, and the one that asks
# whether forgetting lasts: the paper study has none of these.
ELSEWHERE = {
    "download", "weights", "vector", "original", "given_original", "given_retrain", "tokenizer",
    "prepare_questions", "durability",
}  # fmt: skip


def test_all_other_rules_run(results):
    timed = {path.name for path in results.rglob("benchmarks/*")}
    timed |= {path.name for path in results.parents[1].glob("data/benchmarks/*")}
    assert timed == RULES - ELSEWHERE


def test_every_table_is_written_with_all_its_rows_and_columns(results, paper):
    for name, table in paper.tables.items():
        cells = pd.read_csv(results / "tables" / f"{name}.csv", keep_default_na=False)
        # How much there is to forget is of a column, and of no row.
        cells = cells[cells["metric"] != "to_forget"]
        assert list(cells["row"].unique()) == list(table.model_dump()["rows"].values())
        assert list(cells["column"].unique()) == [column.label for column in table.columns]
        # No job makes the best single model, so there are no seconds of it.
        metrics = ["forget", "control", "zeros_state", "models"]
        measured = cells[cells["metric"].isin(metrics)]
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


def in_small(study):
    """Describe a study with the experiments of `smoke`, which has all methods of the paper's."""
    smoke, ours = (
        one.model_dump(mode="json", by_alias=True)
        for one in (load_study(ROOT / "config", "smoke"), study)
    )
    small = {}
    for name, experiment in ours["experiments"].items():
        theirs = smoke["experiments"][name]
        for key in ("scenario", "mode", "freeze", "batch_statistics"):
            assert experiment.get(key) == theirs.get(key)
        small[name] = theirs | {"methods": {m: theirs["methods"][m] for m in experiment["methods"]}}
    # What a figure draws of single models is measured by jobs of its own. An experiment of `smoke`
    # stands for several of the paper's, so a figure may draw what the smaller study does not show.
    drawn = {
        name: figure
        for name, figure in smoke["figures"].items()
        if figure["kind"] == "spread" and set(figure["experiments"]) <= set(small)
    }
    figures = drawn | ours["figures"]
    return smoke | {"experiments": small, "tables": ours["tables"], "figures": figures}


@pytest.mark.parametrize("name", ["lite", "first-hour", "laptop"])
def test_a_smaller_study_needs_no_other_jobs_and_shows_all_that_it_names(results, tmp_path, name):
    """In place of `smoke`, so that Snakemake itself tells whether a job would be another one."""
    folder, study = tmp_path / "workflow", load_study(ROOT / "config", name)
    shutil.copytree(results.parents[1], folder)
    (folder / "config" / "studies" / "smoke.yaml").write_text(
        yaml.safe_dump(in_small(study), sort_keys=False)
    )
    report = "results/smoke/report.html"
    ran = set(re.findall(r"^Job \d+: (\w+): ", snakemake(folder, "--", report), re.M))
    assert {"table", "report"} <= ran <= {"table", "figure", "report"}
    for table, definition in study.tables.items():
        text = (folder / "results" / "smoke" / "tables" / f"{table}.md").read_text()
        assert definition.note in text
        assert all(f"| {label} " in text for label in definition.model_dump()["rows"].values())
        assert all(column.label in text for column in definition.columns)


def test_no_checkpoint_is_left_that_nothing_needs(results):
    places = [path.relative_to(results) for path in results.rglob("*.safetensors")]
    folders = {place.parts[-2] for place in places}
    assert not folders & {"finetuned", "vectors", "merged", "candidates"}
    assert {place.stem for place in places if place.parts[-2] == "trained"} == {
        "original",
        "retrain",
    }
