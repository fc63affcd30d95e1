"""The shipped studies: the paper's numbers, what smaller ones leave out, and what they fetch."""

import re

import pandas as pd
import pytest

from negmerge import plugins
from negmerge.data.loading import batches_per_epoch
from negmerge.settings.study import load_study

CONFIG = plugins.PACKAGE.parents[2] / "config"
# Steps of fine-tuning one point on each data set, at 128 images a step.
STEPS = {
    "cars": 4060, "dtd": 2700, "eurosat": 6760, "gtsrb": 7520, "mnist": 12_900, "resisc45": 5320,
    "sun397": 5600, "svhn": 16_020,
}  # fmt: skip


@pytest.fixture(scope="module")
def studies():
    return {path.stem: load_study(CONFIG, path.stem) for path in CONFIG.glob("studies/*.yaml")}


def test_the_page_lists_each_study(studies):
    section = (CONFIG / "README.md").read_text().partition("## The shipped studies")[2]
    cells = re.findall(r"^\| (`.*?) \|", section.partition("<!-- plan:begin -->")[0], re.M)
    assert sorted(re.findall(r"`([\w-]+)`", " ".join(cells))) == sorted(studies)


def test_the_paper_s_pools_take_the_steps_of_the_released_code(studies):
    paper = studies["paper"]

    def steps(experiment, task, point):
        recipe = experiment.recipe(task, point)
        images = paper.catalogue.datasets[task].parts["train"]
        return recipe.epochs * batches_per_epoch(images, recipe.batch_size)

    whole, plain = (paper.experiments[name] for name in ("vit-b-32", "vit-b-32-plain"))
    for task in whole.tasks:
        assert {steps(whole, task, point) for point in whole.pool.changes} == {STEPS[task]}
    # Those of Task Arithmetic.
    assert sum(steps(plain, task, "plain") for task in plain.tasks) == 16_419


def test_cars_is_the_paper_s_case_with_the_notebook_s_grid(studies):
    own = studies["cars"].experiments["vit-b-32"].model_dump()
    whole = studies["paper"].experiments["vit-b-32"].model_dump() | {"tasks": ["cars"]}
    whole["methods"] = {name: whole["methods"][name] for name in own["methods"]}
    assert (own["selection"].pop("halvings"), whole["selection"].pop("halvings")) == (0, 2)
    assert own == whole
    known = pd.read_csv(CONFIG / "published" / "cars_b32_sweep.csv")
    grid = studies["cars"].experiments["vit-b-32"].coefficients.values
    assert known[known["metric"] == "forget"]["coefficient"].to_list() == grid


def test_smoke_has_every_table_figure_and_method_of_the_paper_study(studies):
    smoke, paper = studies["smoke"], studies["paper"]
    for section in ("tables", "figures"):
        ours, theirs = getattr(smoke, section), getattr(paper, section)
        assert {name: ours[name].kind for name in theirs} == {
            name: shown.kind for name, shown in theirs.items()
        }

    def uses(study, scenario):
        """The methods of a scenario, with their options but for how long they train."""
        return {
            (name, use.search, tuple((k, v) for k, v in use.options.items() if "epochs" not in k))
            for experiment in study.experiments.values()
            if experiment.scenario == scenario
            for name, use in experiment.methods.items()
        }

    for scenario in ("zero-shot", "classifier"):
        assert uses(smoke, scenario) == uses(paper, scenario)
