import pytest
import yaml

from negmerge import artefacts
from negmerge.errors import UserError
from negmerge.settings.classifier import Classifier
from negmerge.settings.study import load_study

POINTS = ["e16-ls0", "e16-ls0.1", "e8-ls0", "e8-ls0.1"]


@pytest.fixture
def study(config):
    return load_study(config, "example")


@pytest.fixture
def clip(study):
    return study.experiments["mini-clip"]


@pytest.fixture
def classifier(study):
    return study.experiments["mini-resnet"]


@pytest.fixture
def pruned(config):
    """The example's classifier with pruned searches, which one method does not want."""
    content = yaml.safe_load((config / "studies" / "example.yaml").read_text())
    one = content["experiments"]["mini-resnet"]
    one["methods"] |= {"ties": {"search": "full"}}
    one["selection"] |= {"search": "exact-pruned"}
    return Classifier.model_validate(one)


@pytest.mark.parametrize(
    ("method", "names", "folder", "measures"),
    [
        ("original", [], "", ""),
        ("retrain", ["retrain"], "trained", None),
        ("finetune", ["finetune"], "candidates", "measures"),
        ("gradient-ascent", ["gradient-ascent"], "candidates", "measures"),
        ("gradient-ascent.gap", ["gradient-ascent"], "candidates", "measures"),
        ("task-arithmetic", POINTS, "vectors", "sweeps"),
        ("greedy", ["greedy"], "merged", "sweeps"),
        ("negmerge-8", ["negmerge-8"], "merged", "sweeps"),
        ("negmerge-8.gap", ["negmerge-8"], "merged", "sweeps"),
    ],
)
def test_what_a_method_chooses_among_and_its_measures(classifier, method, names, folder, measures):
    expected = [f"{folder}/{name}.safetensors" for name in names]
    assert artefacts.candidates(classifier, method) == expected
    files = [f"{measures}/{name}.csv" for name in names if measures]
    assert artefacts.measures(classifier, method) == files
    assert artefacts.candidate_search(classifier, method) == []


def test_what_is_merged_are_the_vectors_of_the_points(classifier):
    for method in ("negmerge-8", "negmerge-8.gap"):
        assert artefacts.pool_vectors(classifier, method) == [
            "vectors/e8-ls0.safetensors",
            "vectors/e8-ls0.1.safetensors",
        ]


def test_only_a_single_vector_and_its_mask_wait_for_a_choice(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-resnet/methods/masked-single", {})
    for name in ("task-arithmetic-8", "masked-single-8"):
        change_yaml(path, f"experiments/mini-resnet/methods/{name}", {"points": ["e8-*"]})
    one = load_study(config, "example").experiments["mini-resnet"]
    found = {name: artefacts.chosen_single(one, name) for name in one.rules}
    assert {name: place for name, place in found.items() if place} == {
        "task-arithmetic": ["selected/task-arithmetic.json"],
        "task-arithmetic.gap": ["selected/task-arithmetic.gap.json"],
        "task-arithmetic-8": ["selected/task-arithmetic-8.json"],
        "task-arithmetic-8.gap": ["selected/task-arithmetic-8.gap.json"],
        # There is one merge, whatever rule chooses its coefficient.
        "masked-single": ["selected/task-arithmetic.json"],
        "masked-single.gap": ["selected/task-arithmetic.json"],
        "masked-single-8": ["selected/task-arithmetic-8.json"],
        "masked-single-8.gap": ["selected/task-arithmetic-8.json"],
    }


def test_vectors_are_points_or_merges(classifier):
    assert artefacts.vector(classifier, "negmerge-8") == ["merged/negmerge-8.safetensors"]
    assert artefacts.vector(classifier, "e8-ls0.1") == ["vectors/e8-ls0.1.safetensors"]
    for name in ("finetune", "task-arithmetic", "negmerge.gap", "e9"):
        with pytest.raises(UserError, match=rf"^unknown vector '{name}'; "):
            artefacts.vector(classifier, name)


def test_only_the_gap_needs_retrain(classifier):
    for method, rule in classifier.rules.items():
        expected = ["measures/retrain.csv"] if rule == "gap" else []
        assert artefacts.reference_of(classifier, method) == expected
    assert "measures/retrain.csv" in artefacts.reference_of(classifier, "negmerge.gap")


def test_measuring_needs_retrain_where_some_rule_compares_with_it(classifier, clip):
    assert artefacts.reference(classifier) == ["measures/retrain.csv"]
    assert artefacts.reference(clip) == []


def test_neither_the_gap_nor_a_trained_model_is_searched_with_pruning(pruned):
    searched = {name for name in pruned.rules if artefacts.candidate_search(pruned, name)}
    assert searched >= {"task-arithmetic", "greedy", "negmerge", "negmerge-8"}
    assert not {name for name in searched if name.endswith(".gap")}
    assert not searched & {"gradient-ascent", "ties", "original"}
    for name in pruned.rules:
        both = artefacts.candidate_search(pruned, name), artefacts.measures(pruned, name)
        assert sum(map(bool, both)) == (name not in ("original", "retrain"))
    assert artefacts.candidate_search(pruned, "negmerge") == ["searches/negmerge.json"]


def test_a_method_may_be_searched_with_pruning_by_itself(config, change_yaml):
    path = config / "studies" / "example.yaml"
    change_yaml(path, "experiments/mini-clip/methods/emr", {"search": "exact-pruned"})
    clip = load_study(config, "example").experiments["mini-clip"]
    found = [name for name in clip.rules if artefacts.candidate_search(clip, name)]
    assert found == ["emr"]
