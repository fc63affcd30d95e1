"""A pool and a base of others in a study's settings."""

import re

import pytest

from negmerge.errors import UserError
from negmerge.settings.pool import Given, Inputs, files_of
from negmerge.settings.study import load_study

POOL = "experiments/mini-resnet/pool"
FILES = {"b": "others/b.pt", "a": "others/a"}


@pytest.fixture
def given(config, change_yaml):
    """Let the pool of the example's classifier be given, and other settings as a test has them."""
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-resnet/trials", 1)
    change_yaml(path, "experiments/mini-resnet/methods/negmerge-8", {"points": ["a*"]})

    def change(pool, **keys):
        change_yaml(path, POOL, pool)
        for key, value in keys.items():
            change_yaml(path, f"experiments/mini-resnet/{key}", value)
        return load_study(config, "example").experiments["mini-resnet"]

    return change


def test_points_are_named_by_the_study_and_have_no_recipe(given):
    experiment = given({"files": FILES, "manual": "Ask."}, finetune=None)
    assert experiment.points("negmerge") == ["a", "b"]
    assert experiment.points("negmerge-8") == ["a"]
    assert experiment.given_model("trial1", "b") == Given(file="others/b.pt", manual="Ask.")
    with pytest.raises(UserError, match=r"^unknown point 'b'; valid: none"):
        experiment.recipe("trial1", "b")
    assert experiment.base_place == "{task}/trained/original.safetensors"


def test_a_path_may_hold_the_task(given):
    files = {name: f"{{task}}/{name}.pt" for name in "ab"}
    experiment = given({"files": files}, trials=2, base={"file": "others/original.th"})
    assert [model.file for model in experiment.given_models] == [
        "others/original.th", "trial1/a.pt", "trial1/b.pt", "trial2/a.pt", "trial2/b.pt",
    ]  # fmt: skip
    assert experiment.base_place == "original.safetensors"


def test_one_path_may_stand_for_all_points(given):
    pool = {"grid": {"m": [1, 10]}, "short": {"m": "a"}, "files": "{task}/{point}/rand{m}.pt"}
    experiment = given(pool, trials=2)
    assert experiment.points("negmerge") == ["a1", "a10"]
    assert experiment.pool.file("trial2", "a10") == "trial2/a10/rand10.pt"
    experiment = given({"points": {"a": {}, "b": {}}, "files": "{task}/{point}.pt"})
    assert experiment.pool.file("trial1", "b") == "trial1/b.pt"


@pytest.mark.parametrize(
    ("pool", "keys", "message"),
    [
        (
            {"files": FILES, "grid": {"epochs": [1]}},
            {},
            "pool: both `files` and `grid`; given models have no recipe",
        ),
        ({"files": "x.pt", "points": {"a": {}, "b": {}}}, {}, "pool: files: 'a' and 'b' are both"),
        (
            {"files": "{point}", "points": {"a": {"epochs": 1}}},
            {},
            "pool: both `files` and changes",
        ),
        ({"files": {"a": "x.pt", "b": "x.pt"}}, {}, "pool: files: 'a' and 'b' are both x.pt"),
        ({"files": {"a/b": "x.pt"}}, {}, "pool.files.a/b: 'a/b' becomes a file's name"),
        (
            {"files": {"a": "{point}.pt"}},
            {},
            "pool: '{point}.pt' has braces around something other than task",
        ),
        (
            {"files": {"a": "x.pt"}},
            {"trials": 2},
            "pool.files: x.pt of 'a' has no {task}, but there are 2 tasks (trial1, trial2)",
        ),
        ({"files": FILES}, {"base": {}}, "base.file"),
    ],
)
def test_what_cannot_be_is_named_in_one_line(given, pool, keys, message):
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        given(pool, **keys)
    assert len(str(caught.value).splitlines()) == 1


def test_a_pool_that_is_not_given_needs_a_recipe(config, change_yaml):
    change_yaml(config / "studies" / "example.yaml", "experiments/mini-clip/finetune", None)
    with pytest.raises(UserError, match="the key finetune is missing; only a pool of `files`"):
        load_study(config, "example")


def test_a_folder_is_what_decides_its_numbers(tmp_path):
    for name in ("config.json", "model.safetensors", "README.md", "unet/weights.bin"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    expected = [
        str(tmp_path / name) for name in ("config.json", "model.safetensors", "unet/weights.bin")
    ]
    assert files_of(str(tmp_path)) == expected
    assert files_of(str(tmp_path / "model.safetensors")) == expected[1:2]
    index = tmp_path / "model.safetensors.index.json"
    index.touch()
    assert files_of(str(index)) == sorted([*expected, str(index)])


def test_all_that_is_missing_is_told_at_once(tmp_path):
    inputs = Inputs()
    inputs.require()
    assert inputs.files(None) == []
    for name in ("a.pt", "b.pt"):
        assert inputs.files(Given(file=str(tmp_path / name), manual="Ask them.\n")) == []
    with pytest.raises(UserError) as caught:
        inputs.require()
    assert str(caught.value) == (
        f"{tmp_path / 'a.pt'} and 1 more: no such file or folder, but the study is given this "
        "model. Ask them"
    )
