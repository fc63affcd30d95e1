"""The paper study has the paper's numbers: what can be counted without its weights and images."""

import pytest

from negmerge import plugins
from negmerge.data.loading import batches_per_epoch
from negmerge.settings.catalogue import Catalogue, part_sizes
from negmerge.settings.study import load_study

CONFIG = plugins.PACKAGE.parents[2] / "config"
# Steps of fine-tuning one point on each data set, at 128 images a step.
STEPS = {
    "cars": 4060,
    "dtd": 2700,
    "eurosat": 6760,
    "gtsrb": 7520,
    "mnist": 12_900,
    "resisc45": 5320,
    "sun397": 5600,
    "svhn": 16_020,
}


def steps(known: Catalogue, experiment, task: str, point: str) -> int:
    recipe = experiment.recipe(task, point)
    images = part_sizes(known, task)["train"]
    return recipe.epochs * batches_per_epoch(images, recipe.batch_size)


@pytest.fixture(scope="module")
def paper():
    return load_study(CONFIG, "paper")


def test_a_pool_takes_the_released_code_s_steps(paper):
    experiment = paper.experiments["vit-b-32"]
    found = {
        task: {steps(paper.catalogue, experiment, task, point) for point in experiment.pool.changes}
        for task in experiment.tasks
    }
    assert found == {task: {number} for task, number in STEPS.items()}
    assert sum(STEPS.values()) == 60_880


def test_the_plain_recipe_takes_the_steps_of_task_arithmetic(paper):
    experiment = paper.experiments["vit-b-32-plain"]
    found = sum(steps(paper.catalogue, experiment, task, "plain") for task in experiment.tasks)
    assert found == 16_419
