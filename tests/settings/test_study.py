import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.settings import methods
from negmerge.settings.experiment import Coefficients
from negmerge.settings.pool import Pool, spell
from negmerge.settings.recipe import Recipe
from negmerge.settings.study import load_study

EXPERIMENT = "experiments/mini-clip"


@pytest.fixture
def demo(config):
    return load_study(config, "example").experiments["mini-clip"]


def test_a_recipe_is_the_point_s_change_of_the_shared_one(demo):
    recipe = demo.recipe("digits", "m10-n3")
    assert recipe.augmentation.randaugment == "rand-m10-n3-mstd0.5"
    assert recipe.augmentation.crop_scale == demo.finetune.augmentation.crop_scale
    assert recipe.epochs == demo.finetune.epochs["digits"]
    assert demo.recipe("letters", "m10-n3").epochs == demo.finetune.epochs["letters"]
    assert recipe.learning_rate == demo.finetune.learning_rate
    with pytest.raises(UserError, match=r"^unknown point 'm2'; "):
        demo.recipe("digits", "m2")


def test_axes_are_keys_or_stand_in_a_text():
    pool = Pool(
        grid={"weight_decay": [1e-4, 0.5], "augmentation.flip": [0], "m": [3]},
        short={"weight_decay": "wd", "augmentation.flip": "f"},
        recipe={"epochs": 2, "augmentation": {"randaugment": "rand-m{m}"}},
        points={"wd0.5-f0-m3": {"epochs": 9}},
    )
    augmentation = {"randaugment": "rand-m3", "flip": 0}
    assert pool.changes == {
        "wd0.5-f0-m3": {"weight_decay": 0.5, "epochs": 9, "augmentation": augmentation},
        "wd1e-4-f0-m3": {"weight_decay": 1e-4, "epochs": 2, "augmentation": augmentation},
    }


@pytest.mark.parametrize(
    ("value", "name"),
    [(40, "40"), (1000, "1000"), (0.05, "0.05"), (0.1, "0.1"), (0.0, "0"), (2.0, "2"),
     (1e-4, "1e-4"), (1e-3, "1e-3"), (2.5e-6, "2.5e-6"), (5e-5, "5e-5"),
     (1e5, "1e5"), ("bicubic", "bicubic")],
)  # fmt: skip
def test_a_point_s_name_has_the_shortest_spelling_of_its_values(value, name):
    assert spell(value) == name


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_spelling_is_the_number(value):
    assert float(spell(value)) == value
    assert len(spell(value)) <= len(str(value))


def test_points_come_in_the_order_of_their_names():
    pool = Pool(grid={"epochs": [10, 2, 1]})
    assert list(pool.changes) == ["epochs1", "epochs10", "epochs2"]
    assert list(Pool(points={"b": {}, "a": {}}, recipe={"epochs": 2}).changes) == ["a", "b"]


def test_the_paper_s_coefficients():
    values = Coefficients().values
    assert len(values) == 21
    assert values[:4] == [0.0, 0.05, 0.1, 0.15]
    assert values[-1] == 1.0
    assert Coefficients(step=0.1, stop=0.3).values == [0.0, 0.1, 0.2, 0.3]


def test_candidates(demo):
    points = ["m1-n1", "m1-n3", "m10-n1", "m10-n3", "m5-n1", "m5-n3"]
    assert demo.candidates("pretrained") == []
    assert demo.candidates("task-arithmetic") == points
    assert demo.candidates("negmerge") == ["negmerge"]
    assert demo.candidates("greedy") == ["greedy"]
    with pytest.raises(UserError, match=r"^unknown method 'negmerg'; did you mean 'negmerge'\? "):
        demo.candidates("negmerg")


def test_the_greedy_merge_has_options_of_its_own(config, demo, change_yaml):
    use = demo.use("greedy")
    assert methods.greedy_options(use.options) == {"strict": True, "search_each_step": True}
    path = config / "studies" / "example.yaml"
    change_yaml(path, f"{EXPERIMENT}/methods/greedy", {"strict": False})
    use = load_study(config, "example").experiments["mini-clip"].use("greedy")
    assert methods.greedy_options(use.options) == {"strict": False, "search_each_step": True}
    for option, message in (
        ({"strict": 1}, "strict is 1: input should be a valid boolean"),
        (
            {"strikt": True},
            "unknown option 'strikt'; did you mean 'strict'? valid: search_each_step, strict",
        ),
    ):
        change_yaml(path, f"{EXPERIMENT}/methods/greedy", option)
        with pytest.raises(UserError, match=rf"methods\.greedy: {re.escape(message)}$"):
            load_study(config, "example")
    change_yaml(path, f"{EXPERIMENT}/methods/greedy", {})
    change_yaml(path, f"{EXPERIMENT}/pool", {"points": {"greedy": {}}})
    with pytest.raises(UserError, match=r"a point must not have a method's name: 'greedy'$"):
        load_study(config, "example")


def test_an_experiment_may_have_its_own_seed(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "seed", 3)
    assert load_study(config, "example").seed_of("mini-clip") == 3
    change_yaml(path, f"{EXPERIMENT}/seed", 0)
    assert load_study(config, "example").seed_of("mini-clip") == 0


def test_pretraining_has_the_prompts_of_its_sources(config, demo):
    prompts = load_study(config, "example").catalogue.prompts
    found = demo.pretraining(prompts)
    assert [source["name"] for source in found["sources"]] == list(demo.pretrain.sources)
    for source in found["sources"]:
        assert source["classes"] == prompts[source["name"]].classes
        assert source["repeat"] == demo.pretrain.sources[source["name"]].repeat
    assert Recipe.model_validate(found["recipe"]) == demo.pretrain.recipe


def test_a_missing_study_comes_with_the_nearest(config):
    with pytest.raises(UserError) as caught:
        load_study(config, "dmo")
    message = str(caught.value)
    assert message.startswith(
        f"{config / 'studies' / 'dmo.yaml'}: unknown study 'dmo'; did you mean 'demo'? valid: "
    )
    with pytest.raises(UserError, match=r"unknown study 'demo'; valid: none$"):
        load_study(config / "none", "demo")
