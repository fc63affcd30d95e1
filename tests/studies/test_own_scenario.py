"""docs/dev/add-a-scenario.md, followed to the end: four files run a study of a new scenario."""

import csv
import json

import pytest
from followed import blocks, follow
from safetensors.numpy import load_file

from tiny_study import ROOT

PAGE = ROOT / "docs" / "dev" / "add-a-scenario.md"
SCENARIO = "workflow/scripts/negmerge/scenarios/numbers"


@pytest.fixture(scope="module")
def numbers(checkout, tmp_path_factory):
    """A copy of the workflow with the scenario of the page, in which its study has run."""
    made = checkout.copy(tmp_path_factory.mktemp("numbers") / "workflow")
    (made.folder / SCENARIO).mkdir()
    settings, jobs = blocks(PAGE, "python")
    model, study = blocks(PAGE, "yaml")
    (made.folder / SCENARIO / "settings.py").write_text(settings)
    (made.folder / SCENARIO / "jobs.py").write_text(jobs)
    with open(made.folder / "config/models.yaml", "a") as stream:
        stream.write(f"\n{model}")
    (made.folder / "config/studies/numbers.yaml").write_text(study)
    follow(made, PAGE)
    return made


def test_what_is_scored_follows_from_the_files_of_the_study(numbers):
    """Logistic regression by numpy, from the base, the merged vector and the chosen coefficient."""
    import numpy as np
    from sklearn.datasets import load_digits

    digits = load_digits()
    test = slice(1400, 1797)
    inputs = np.round(digits.data[test] * (255 / 16)).astype(np.float32) / 255
    labels = digits.target[test]
    for task, label in (("three", 3), ("eight", 8)):
        folder = numbers.folder / "results/numbers/digits" / task
        [score] = json.loads((folder / "scores/negmerge.json").read_text())
        base = load_file(folder / "trained/original.safetensors")
        vector = load_file(folder / "merged/negmerge.safetensors")
        moved = {name: base[name] - score["coefficient"] * vector[name] for name in base}
        is_right = (inputs @ moved["weight"].T + moved["bias"]).argmax(1) == labels
        for role, items in (("forget", labels == label), ("retain", labels != label)):
            assert score[role]["n"] == items.sum()
            # Another order of sums may decide one item that lies on an edge.
            assert abs(score[role]["correct"] - is_right[items].sum()) <= 1


def test_its_tables_and_report_are_in_its_own_words(numbers):
    with open(numbers.folder / "results/numbers/tables/forgetting.csv", newline="") as stream:
        cells = list(csv.DictReader(stream))
    metrics = {cell["metric"] for cell in cells if cell["row"] != "NA"}
    assert metrics == {"forget", "retain", "lowest"}
    to_forget = [cell for cell in cells if cell["metric"] == "to_forget"]
    assert {cell["task"] for cell in to_forget} == {"mean", "three", "eight"}
    page = (numbers.folder / "results/numbers/report.html").read_text()
    assert "A linear model forgets a class of a table of numbers" in page
    assert "three, eight" in page


def test_a_new_word_of_a_report_trains_nothing_again(numbers):
    settings = numbers.folder / SCENARIO / "settings.py"
    settings.write_text(settings.read_text().replace("forgotten class right", "class right"))
    planned = numbers.planned("results/numbers/report.html")
    assert planned == {"table: forgetting", "report: numbers"}
