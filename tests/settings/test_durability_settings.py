"""What a study may say of whether forgetting lasts, and what it needs for it."""

import pytest

from negmerge.errors import UserError
from negmerge.settings.recipe import Durability
from negmerge.settings.study import load_study

CLIP = "experiments/mini-clip/durability"


@pytest.fixture
def study(config, change_yaml):
    """A function that reads the example with such settings of the experiment `mini-clip`."""

    def read(value):
        change_yaml(config / "studies" / "example.yaml", CLIP, value)
        return load_study(config, "example").experiments["mini-clip"]

    return read


def test_it_is_not_asked_unless_a_study_says_so(config):
    for experiment in load_study(config, "paper").experiments.values():
        assert experiment.durability is None
        with pytest.raises(UserError, match=r"^the experiment has no `durability`, so nothing"):
            _ = experiment.treatment


def test_without_keys_all_treatments_are_asked_by_the_recipe_of_language_models(study):
    found = study({}).treatment
    assert found == Durability()
    assert found.treatments == ["int8", "int4", "nf4", "relearned"]
    recipe = found.relearn
    assert (recipe.epochs, recipe.learning_rate, recipe.batch_size) == (1, 2e-5, 32)
    assert (recipe.weight_decay, recipe.warmup_steps, recipe.schedule) == (0, 0, "constant")
    assert recipe.augmentation.crop_scale is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"treatments": []}, r"durability\.treatments.*at least 1"),
        ({"treatments": ["int2"]}, r"durability\.treatments.* 'int2'"),
        ({"group_size": 0}, r"durability\.group_size is 0"),
        ({"relearn": {"rate": 1.0}}, r"unknown key 'rate' in experiments\.mini-clip\.durability"),
        ({"relearn": {"warmup_steps": 1000}},
         r"experiments\.mini-clip\.durability\.relearn: warmup_steps is 1000, but 1 epochs of "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(study, value, message):
    with pytest.raises(UserError, match=message) as found:
        study(value)
    assert "\n" not in str(found.value)


def test_a_model_in_the_tangent_space_is_not_rounded(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-clip/mode", "linear")
    change_yaml(path, "figures", {})
    load_study(config, "example")
    change_yaml(path, CLIP, {})
    with pytest.raises(UserError, match=r"mini-clip\.durability: a model in the tangent space"):
        load_study(config, "example")
