"""Rows of images of one's own: counted when a study needs them, and what is wrong with them."""

import pytest

from negmerge.errors import UserError
from negmerge.settings.catalogue import load_catalogue
from refusals import refused

ROW = {"title": "Mine", "source": "folder", "files": {"images": "photos"}, "licence": "mine"}
COUNTS = {"ant": (3, 1), "bee": (5, 0), "cat": (4, 2)}
PLACE = "experiments/mini-resnet"
AT = "experiments.mini-resnet"


@pytest.fixture
def mine(config, change_yaml):
    """A function that adds a row of photos, which lie beside the configuration folder."""
    for name, counts in COUNTS.items():
        for split, count in zip(("train", "test"), counts, strict=True):
            for number in range(count):
                path = config.parent / "photos" / split / name / f"{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("no image is read")

    def add(**changes):
        change_yaml(config / "datasets.yaml", "mine", ROW | changes)
        return load_catalogue(config)

    return add


@pytest.fixture
def study(mine, example_with):
    """A function that lets the example's classifier forget some of the photos."""
    mine()
    return lambda **forget: example_with({f"{PLACE}/dataset": "mine", f"{PLACE}/forget": forget})


def test_a_row_is_counted_when_it_is_asked_for(mine):
    known = mine()
    found = known.datasets["mine"]
    assert (found.splits, found.classes) == ({"train": 12, "test": 3}, 3)
    assert known.class_names("mine") == ["ant", "bee", "cat"]
    assert "mine" not in known.prompts
    assert found is known.datasets["mine"]
    assert found.listed.bytes == 15 * len("no image is read")


def test_a_row_that_no_study_needs_may_name_a_folder_that_is_not_there(config, mine):
    known = mine(files={"images": "elsewhere"})
    place = config.parent / "elsewhere"
    assert refused(lambda: known.datasets["mine"]).startswith(f"{place}: no such folder")


ARCHIVE = {"name": "a.zip", "urls": ["https://x/a.zip"], "md5": "0" * 32}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"splits": {"train": 12}}, "mine: the key classes is missing"),
        ({"files": {}}, "mine: files: the key 'images' is missing, which the source 'folder' "),
        ({"files": {"images": ARCHIVE}}, "mine: a.zip is to be downloaded, so nobody has counted"),
    ],
)
def test_a_wrong_row_is_named(config, mine, changes, message):
    line = refused(lambda: mine(**changes))
    assert line.startswith(f"{config / 'datasets.yaml'}: {message}")


def test_classes_of_one_s_own_are_counted(study):
    found = study(rule="class", classes=["cat"])
    experiment = found.experiments["mini-resnet"]
    counts = experiment.check_counts("x", "trial1", found.catalogue)
    assert {role: counts[role]["train"] for role in counts} == {
        "forget": 4, "retain": 8, "original": 12, "test": 3,
    }  # fmt: skip
    assert experiment.forget.options("mine", found.catalogue)["classes"] == [2]


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat", "dog"], "unknown class 'dog'; valid: ant, bee, cat"),
        (["ant", "bee", "cat"], "all 3 classes, expected at least 1 to keep"),
        (["bee"], "bee: no test images, expected 1"),
    ],
)
def test_classes_that_cannot_be_forgotten_are_refused(study, classes, message):
    line = refused(lambda: study(rule="class", classes=classes))
    assert line.endswith(f"example.yaml: {AT}.forget.classes: {message}")


def test_a_clip_model_needs_prompts_for_them(config, mine, change_yaml, example_with):
    mine()
    with pytest.raises(UserError, match=r"data set 'mine': unknown row of prompts.yaml 'mine'; "):
        example_with({"experiments/mini-clip/control": "mine"})
    prompts = {"templates": ["{}"], "classes": ["ant", "bee"]}
    change_yaml(config / "prompts.yaml", "mine", prompts)
    message = r"data set 'mine' has 3 classes, but 2 names in prompts.yaml$"
    with pytest.raises(UserError, match=message):
        example_with()
