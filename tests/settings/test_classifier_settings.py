import pytest

from negmerge.errors import UserError
from negmerge.scenarios.classifier.settings import Classifier
from negmerge.settings.load import load_yaml

PLACE = "experiments/mini-resnet"


@pytest.fixture
def classifier(config):
    """A function that gives the example's classifier with some keys changed."""
    content = load_yaml(config / "studies" / "example.yaml")

    def build(**changes):
        return Classifier.model_validate(content["experiments"]["mini-resnet"] | changes)

    return build


def test_test_images_are_measured_only_where_the_gap_chooses(classifier):
    assert classifier(selection={}).selection_roles == ("forget", "retain")
    for selection in ({"criterion": "gap"}, {"other_criteria": ["gap"]}):
        found = classifier(selection=selection)
        assert found.selection_roles == ("forget", "retain", "test")
        assert next(iter(found.selection.criteria)) == selection.get("criterion", "retain")


def test_forgotten_classes_are_labels_for_jobs_and_tested_apart(catalogue, classifier):
    names = catalogue.class_names("fashion-small")
    found = classifier(forget={"rule": "class", "classes": [names[7], names[2]]})
    assert found.forget.options("fashion-small", catalogue)["classes"] == [7, 2]
    assert found.job("trial1", catalogue)["roles"] == ["forget", "retain", "test", "forget_test"]
    counts = found.image_counts("trial1", catalogue)
    assert [counts[role]["train"] for role in ("forget", "retain")] == [400, 1600]
    # Nobody has counted them.
    assert found.check_counts("x", "trial1", catalogue) is None
    assert classifier().forget.options("fashion-small", catalogue)["classes"] == []


def test_retrain_is_trained_only_where_it_is_needed(catalogue, classifier):
    without = {"original": {}, "negmerge": {}}

    def runs(**changes):
        return [run.where for run in classifier(**changes).runs("trial1", catalogue, None)]

    assert "train (retrain)" in runs()
    assert "train (retrain)" in runs(methods=without, selection={"criterion": "gap"})
    assert "train (retrain)" not in runs(methods=without, selection={})


def test_levels_of_randomness_may_have_seeds_of_their_own(example_with):
    levels = ("split", "training", "unlearning", "evaluation", "")

    def seeds(change, experiment="mini-resnet"):
        study = example_with(change)
        return [study.seed_of(experiment, level) for level in levels]

    assert seeds({f"{PLACE}/seeds": {"split": 5, "training": 0}}) == [5, 0, 0, 0, 0]
    assert seeds({"seed": 3}) == [5, 0, 3, 3, 3]
    assert seeds({f"{PLACE}/seed": 7}) == [5, 0, 7, 7, 7]
    assert seeds({}, "mini-clip") == [3] * 5


def test_a_classifier_forgets_a_share_or_a_list(example_with, tmp_path):
    def counted(**forget):
        study = example_with({f"{PLACE}/forget": forget})
        counts = study.experiments["mini-resnet"].image_counts("trial1", study.catalogue)
        return [counts[role]["train"] for role in ("forget", "retain", "original", "test")]

    assert counted() == [200, 1800, 2000, 1000]
    assert counted(rule="salun", share=0.1) == [180, 1620, 1800, 1000]
    given = tmp_path / "forget.txt"
    with pytest.raises(UserError, match=r"forget\.txt: cannot be read"):
        counted(rule="given", file=str(given))
    given.write_text("3\n\n5\n8\n")
    assert counted(rule="given", file=str(given)) == [3, 1997, 2000, 1000]
