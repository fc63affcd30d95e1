"""Experiments of a study: points and their recipes, given models, seeds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.settings.pool import Given, Inputs, Pool, files_of, spell
from negmerge.settings.study import load_study
from refusals import refused

FILES = {"b": "others/b.pt", "a": "others/a"}


@pytest.fixture
def clip(example_with):
    return example_with().experiments["mini-clip"]


def test_a_recipe_is_the_point_s_change_of_the_shared_one(clip):
    recipe = clip.recipe("digits", "m10-n3")
    assert recipe.augmentation.randaugment == "rand-m10-n3-mstd0.5"
    assert recipe.augmentation.crop_scale == clip.finetune.augmentation.crop_scale
    assert recipe.epochs == clip.finetune.epochs["digits"]
    assert clip.recipe("letters", "m10-n3").epochs == clip.finetune.epochs["letters"]
    with pytest.raises(UserError, match=r"^unknown point 'm2'; "):
        clip.recipe("digits", "m2")


def test_seeds_repeat_an_experiment_and_tables_average_over_them(example_with):
    before = example_with()
    changes = {
        "mini-clip/seeds": 3, "mini-resnet/seeds": 2,
        "mini-resnet/forget": {"rule": "salun", "seed": 2},
    }  # fmt: skip
    study = example_with({f"experiments/{place}": value for place, value in changes.items()})
    clips = ["mini-clip", "mini-clip.seed2", "mini-clip.seed3"]
    assert list(study.experiments) == [*clips, "mini-resnet", "mini-resnet.seed2"]
    first, *_, again = (study.experiments[name] for name in clips)
    assert first.model_copy(update={"seeds": 1}) == before.experiments["mini-clip"]
    assert again.pool.changes == first.pool.changes
    columns = {x.label: x.experiments for table in study.tables.values() for x in table.columns}
    assert clips in columns.values()
    # Pictures are of the first seed, means of all.
    assert study.figures["figure1a"].experiments == ["mini-clip"]
    assert study.figures["gap"].experiments == ["mini-resnet", "mini-resnet.seed2"]
    # The splits of further seeds go on where those of the first end.
    seeds = [
        study.experiments[name].split_seed(f"trial{trial}")
        for name in ("mini-resnet", "mini-resnet.seed2")
        for trial in (1, 2)
    ]
    assert seeds == [2, 3, 4, 5]


def test_a_later_request_starts_from_what_the_earlier_one_has_left(example_with):
    later = {
        "scenario": "zero-shot", "model": "mini-clip", "control": "fashion", "tasks": ["letters"],
        "finetune": {"epochs": 1, "warmup_steps": 0}, "pool": {"points": {"a": {}}},
        "methods": {"pretrained": {}},
        "after": {"experiment": "mini-clip", "task": "digits", "method": "negmerge"},
    }  # fmt: skip
    changes = {"experiments/later": later | {"seeds": 2}, "experiments/mini-clip/seeds": 2}
    one = example_with(changes).experiments["later.seed2"]
    assert one.base_place == one.start_of("a") == "digits/unlearned/negmerge.safetensors"
    places = [one.base_place, "base.safetensors", "heads/letters.safetensors", "letters/merged/x"]
    home = "mini-clip.seed2"
    assert [one.home("later.seed2", place) for place in places] == [home] * 3 + ["later.seed2"]
    assert one.requests == [(home, "digits")]
    assert one.scored("letters") == ("forget", "control", "earlier-digits")
    assert one.about("pretrained")["after"] == f"{home}/digits/negmerge"
    assert set(one.datasets) == {"letters", "fashion", "digits"}


def test_random_parts_of_a_pool_are_uses_of_their_own(example_with):
    few = {"points": {"random": 3, "draws": 2}}
    uses = {"negmerge-few": few, "uniform-few": few, "negmerge-more": {"points": {"random": 5}}}
    changes = {f"experiments/mini-clip/methods/{name}": use for name, use in uses.items()}
    study = example_with(changes | {"tables/table1/rows/negmerge-few": "NegMerge of 3"})
    clip, rows = study.experiments["mini-clip"], study.tables["table1"].rows
    first, second, other, more = map(
        clip.points, ("negmerge-few-1", "negmerge-few-2", "uniform-few-2", "negmerge-more-1")
    )
    assert len(first) == 3
    assert first == sorted(first) != second == other
    assert set(first) < set(more) < set(clip.pool.changes)
    assert rows["negmerge-few-2"] == "NegMerge of 3, draw 2"
    assert "negmerge-few" not in clip.methods


def test_what_no_seed_decides_is_made_once(config, clip):
    cars = load_study(config, "cars").experiments
    (name, experiment), *_ = cars.items()
    again = experiment.model_copy(update={"seeds": 2}).repetitions(name)[f"{name}.seed2"]
    shared = ("base.safetensors", "heads/cars.safetensors")
    assert [again.home(f"{name}.seed2", file) for file in shared] == [name, name]
    assert again.home(f"{name}.seed2", "cars/vectors/a.safetensors") == f"{name}.seed2"
    own = clip.model_copy(update={"seeds": 2}).repetitions("a")["a.seed2"]
    assert own.home("a.seed2", "base.safetensors") == "a.seed2"


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
    [(40, "40"), (0.05, "0.05"), (0.0, "0"), (2.0, "2"), (1e-4, "1e-4"), (2.5e-6, "2.5e-6"),
     (1e5, "1e5"), ("bicubic", "bicubic")],
)  # fmt: skip
def test_a_point_s_name_has_the_shortest_spelling_of_its_values(value, name):
    assert spell(value) == name


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_spelling_is_the_number(value):
    assert float(spell(value)) == value
    assert len(spell(value)) <= len(str(value))


@pytest.fixture
def given_pool(example_with):
    """Let the pool of the example's classifier be given, and other settings as a test has them."""

    def change(pool, **keys):
        few = {"methods/negmerge-8": {"points": ["a*"]}}
        changes = {"pool": pool, "trials": 1} | keys | few
        study = example_with({f"experiments/mini-resnet/{key}": changes[key] for key in changes})
        return study.experiments["mini-resnet"]

    return change


def test_given_points_are_named_by_the_study_and_have_no_recipe(given_pool):
    experiment = given_pool({"files": FILES, "manual": "Ask."}, finetune=None)
    assert experiment.points("negmerge") == ["a", "b"]
    assert experiment.points("negmerge-8") == ["a"]
    assert experiment.given_model("trial1", "b") == Given(file="others/b.pt", manual="Ask.")
    with pytest.raises(UserError, match=r"^unknown point 'b'; valid: none"):
        experiment.recipe("trial1", "b")
    assert experiment.base_place == "{task}/trained/original.safetensors"


def test_a_path_may_hold_the_task(given_pool):
    files = {name: f"{{task}}/{name}.pt" for name in "ab"}
    experiment = given_pool({"files": files}, trials=2, base={"file": "others/original.th"})
    assert [model.file for model in experiment.given_models] == [
        "others/original.th", "trial1/a.pt", "trial1/b.pt", "trial2/a.pt", "trial2/b.pt",
    ]  # fmt: skip
    assert experiment.base_place == "original.safetensors"


def test_one_path_may_stand_for_all_points(given_pool):
    pool = {"grid": {"m": [1, 10]}, "short": {"m": "a"}, "files": "{task}/{point}/rand{m}.pt"}
    experiment = given_pool(pool, trials=2)
    assert experiment.points("negmerge") == ["a1", "a10"]
    assert experiment.pool.file("trial2", "a10") == "trial2/a10/rand10.pt"
    experiment = given_pool({"points": {"a": {}, "b": {}}, "files": "{task}/{point}.pt"})
    assert experiment.pool.file("trial1", "b") == "trial1/b.pt"


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
    message = refused(inputs.require)
    assert message.startswith(f"{tmp_path / 'a.pt'} and 1 more: ")
    assert message.endswith(". Ask them")


def test_a_control_of_which_one_item_is_worth_more_than_may_be_lost_is_told(example_with):
    study = example_with()
    assert study.cautions() == []
    clip = study.experiments["mini-clip"]
    items = clip.image_counts("digits", study.catalogue)["control"]["select"]
    changed = example_with({"experiments/mini-clip/selection/keep": 1 - 0.5 / items})
    first, *others = changed.cautions()
    assert first.startswith(f"mini-clip/digits: only {items} control images choose, and one of ")
    assert f"{2 * items} or more can tell" in first
    assert len(others) == len(clip.task_names) - 1
    assert changed.cautions(["mini-resnet"]) == []


def test_a_study_names_how_it_computes_by_a_preset_or_by_keys(example_with):
    def compute(given):
        return example_with({"compute": given}).compute.model_dump()

    exact, fast = compute("exact"), compute("fast")
    assert (exact["precision"], fast["precision"]) == ("fp32", "bf16")
    assert compute({"preset": "fast", "drafts": False}) == fast | {"drafts": False}
    assert compute({"fused": True}) == exact | {"fused": True}
