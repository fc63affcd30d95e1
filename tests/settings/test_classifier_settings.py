import pytest
import yaml

from negmerge.errors import UserError
from negmerge.scenarios.classifier.settings import Classifier
from negmerge.settings.methods import combinations
from negmerge.settings.study import load_study

PLACE = "experiments/mini-resnet"
AT = "experiments.mini-resnet"


@pytest.fixture
def classifier(config):
    """A function that gives the example's classifier with some keys changed."""
    content = yaml.safe_load((config / "studies" / "example.yaml").read_text())

    def build(**changes):
        return Classifier.model_validate(content["experiments"]["mini-resnet"] | changes)

    return build


def test_trials_are_the_tasks(classifier):
    assert classifier().task_names == ["trial1", "trial2"]
    assert classifier(trials=3).task_names == ["trial1", "trial2", "trial3"]
    assert classifier().datasets == ["fashion-small"]


def test_defaults_are_those_of_the_scenario(classifier):
    found = classifier(selection={})
    assert found.selection.rule == "retain"
    assert (found.forget.rule, found.forget.share) == ("uniform", 0.1)
    assert found.freeze == "nothing"
    assert found.re_estimates is False
    assert found.relearning == {
        "learning_rate": 0.01,
        "batch_size": 128,
        "epochs": 10,
        "seeds": 3,
    }


def test_each_rule_chooses_once_the_main_one_first(classifier):
    assert classifier().selection.rules == ["retain", "gap"]
    found = classifier(selection={"rule": "gap", "other_rules": ["retain", "gap"]})
    assert found.selection.rules == ["gap", "retain"]
    with pytest.raises(UserError, match=r"^unknown method 'negmerge.gap'; did you mean"):
        found.use("negmerge.gap")


@pytest.mark.parametrize(
    ("selection", "roles"),
    [
        ({}, ("forget", "retain")),
        ({"rule": "gap"}, ("forget", "retain", "test")),
        ({"other_rules": ["gap"]}, ("forget", "retain", "test")),
    ],
)
def test_test_images_are_measured_only_where_the_gap_chooses(classifier, selection, roles):
    assert classifier(selection=selection).selection_roles == roles


def test_grids_of_methods_that_train(classifier):
    found = classifier()
    assert found.candidates("gradient-ascent") == ["gradient-ascent"]
    assert found.is_searched("gradient-ascent")
    assert combinations(found.use("gradient-ascent")) == [
        {"epochs": 3, "learning_rate": 0.01},
        {"epochs": 3, "learning_rate": 0.02},
    ]
    assert combinations(found.use("random-label-forget")) == [{"retain": False}]
    for name in ("random-label-forget", "original", "retrain"):
        assert not found.is_searched(name)


def test_a_job_knows_model_classes_and_where_its_images_lie(config, classifier):
    known = load_study(config, "example").catalogue
    job = classifier().job("trial2", known)
    assert (job["name"], job["dataset"], job["classes"]) == ("classifier", "fashion-small", 10)
    assert job["model"]["architecture"] == {"kind": "resnet18", "width": 8}
    with pytest.raises(UserError, match=r"^unknown task 'trial3'; did you mean 'trial"):
        classifier().job("trial3", known)
    assert classifier().inputs("trial2", ["forget"]) == {
        "images": ("images", "fashion-small"),
        "split": ("place", "trial2/split.json"),
    }


def test_forgotten_classes_are_labels_for_jobs_and_tested_apart(config, classifier):
    known = load_study(config, "example").catalogue
    names = known.class_names("fashion-small")
    found = classifier(forget={"rule": "class", "classes": [names[7], names[2]]})
    assert found.forget.options("fashion-small", known)["classes"] == [7, 2]
    assert found.job("trial1", known)["roles"] == ["forget", "retain", "test", "forget_test"]
    counts = found.image_counts("trial1", known)
    assert [counts[role]["train"] for role in ("forget", "retain")] == [400, 1600]
    # Nobody has counted them.
    assert found.check_counts("x", "trial1", known) is None
    assert classifier().forget.options("fashion-small", known)["classes"] == []


def test_retrain_is_trained_only_where_it_is_needed(config, classifier):
    known = load_study(config, "example").catalogue
    without = {"original": {}, "negmerge": {}}

    def runs(**changes):
        return [run.where for run in classifier(**changes).runs("trial1", known, None)]

    assert "train (retrain)" in runs()
    assert "train (retrain)" in runs(methods=without, selection={"rule": "gap"})
    assert "train (retrain)" not in runs(methods=without, selection={})


def test_levels_of_randomness_may_have_seeds_of_their_own(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, f"{PLACE}/seeds", {"split": 5, "training": 0})
    levels = ("split", "training", "unlearning", "evaluation", "")

    def seeds(experiment="mini-resnet"):
        study = load_study(config, "example")
        return [study.seed_of(experiment, level) for level in levels]

    assert seeds() == [5, 0, 0, 0, 0]
    change_yaml(path, "seed", 3)
    assert seeds() == [5, 0, 3, 3, 3]
    change_yaml(path, f"{PLACE}/seed", 7)
    assert seeds() == [5, 0, 7, 7, 7]
    assert seeds("mini-clip") == [3] * 5


KEYS = (
    "attack, base, batch_statistics, coefficients, dataset, durability, eval_batch_size, "
    "finetune, forget, freeze, methods, model, pool, relearn, scenario, seed, seeds, selection, "
    "train, trials, unlearn"
)
WRONG = {
    "nothing to forget": (
        "forget",
        {"share": 0.0},
        f"{AT}.forget.share is 0.0: input should be greater than 0",
    ),
    "a file without its rule": (
        "forget",
        {"file": "list.txt"},
        f"{AT}.forget: `file` goes with `rule: given`, and only with it",
    ),
    "a rule without its classes": (
        "forget",
        {"rule": "class", "classes": []},
        f"{AT}.forget: `classes` goes with `rule: class`, and only with it",
    ),
    "an unknown class": (
        "forget",
        {"rule": "class", "classes": ["bags"]},
        f"{AT}.forget.classes: unknown class 'bags'; did you mean 'bag'? valid: ",
    ),
    "the other scenario's rule": (
        "selection",
        {"rule": "control"},
        f"{AT}: selection: unknown rule 'control'; valid: gap, retain",
    ),
    "an unknown level of seeds": (
        "seeds",
        {"splits": 1},
        f"unknown key 'splits' in {AT}.seeds; did you mean 'split'? valid: evaluation, split, "
        "training, unlearning",
    ),
    "a key of the other scenario": (
        "control",
        "fashion",
        f"unknown key 'control' in {AT}; did you mean 'pool'? valid: {KEYS}",
    ),
    "the other scenario's base": (
        "methods",
        {"pretrained": {}},
        f"{AT}: classifier: unknown method 'pretrained'; did you mean 'retrain'? valid: ",
    ),
    "an option": (
        "methods",
        {"salun": {"mask": 1}},
        f"{AT}: methods.salun: unknown option 'mask'; did you mean 'mask_share'? valid: augmented, "
        "epochs, learning_rate, mask_share, retain",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("key", "value", "expected"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_where_it_is(spoil, key, value, expected):
    found = spoil(f"{PLACE}/{key}", value)
    assert found.startswith(expected) if expected.endswith("valid: ") else found == expected
    assert key != "model" or "mini-clip" not in found.partition("valid: ")[2]


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        (
            f"{PLACE}/scenario",
            "classifer",
            f"{AT}: unknown scenario 'classifer'; did you mean 'classifier'? valid: classifier, "
            "language, zero-shot",
        ),
        (f"{PLACE}/scenario", None, f"the key {AT}.scenario is missing"),
        (PLACE, "resnet", f"{AT} is 'resnet': input should be a valid dictionary"),
    ],
)
def test_an_experiment_needs_a_known_scenario(spoil, place, value, expected):
    assert spoil(place, value) == expected
