import pytest

from negmerge import paths
from negmerge.errors import UserError
from negmerge.settings.methods import Use

POINTS = ["e16-ls0", "e16-ls0.1", "e8-ls0", "e8-ls0.1"]


CLASSIFIER = "experiments/mini-resnet"


@pytest.fixture
def clip(example_with):
    return example_with().experiments["mini-clip"]


@pytest.fixture
def classifier(example_with):
    return example_with().experiments["mini-resnet"]


@pytest.fixture
def pruned(example_with):
    """The example's classifier with pruned searches, which one method does not want."""
    changes = {"methods/ties": {"search": "full"}, "selection/search": "exact-pruned"}
    study = example_with({f"{CLASSIFIER}/{key}": value for key, value in changes.items()})
    return study.experiments["mini-resnet"]


@pytest.mark.parametrize(
    ("method", "names", "folder"),
    [
        ("finetune", ["finetune"], "candidates"),
        ("gradient-ascent", ["gradient-ascent"], "candidates"),
        ("retrain", ["retrain"], "trained"),
        ("original", [], ""),
        ("task-arithmetic", POINTS, "vectors"),
        ("greedy", ["greedy"], "merged"),
        ("negmerge-8", ["negmerge-8"], "merged"),
    ],
)
def test_what_a_method_chooses_among_and_its_sweeps(classifier, method, names, folder):
    expected = [f"{folder}/{name}.safetensors" for name in names]
    assert paths.candidates(classifier, method) == expected
    if classifier.is_searched(method):
        assert paths.selected(classifier, method) == [f"selected/{method}.json"]
        found = paths.measuring(classifier, "mini-resnet/trial1", method, set())
        assert found == paths.Candidates([], False, len(names))
    else:
        assert paths.selected(classifier, method) == []
        with pytest.raises(UserError, match=rf"^method '{method}' has nothing to choose"):
            paths.measuring(classifier, "mini-resnet/trial1", method, set())


def test_a_merge_with_a_grid_chooses_among_its_vectors(classifier):
    classifier.methods["ties"] = Use(grid={"density": [0.1, 0.2]}, search="exact-pruned")
    names = ["ties.density0.1", "ties.density0.2"]
    files = [f"merged/{name}.safetensors" for name in names]
    assert paths.candidates(classifier, "ties") == files
    assert paths.pool_vectors(classifier, names[0]) == paths.pool_vectors(classifier, "negmerge")
    assert classifier.merge_options(names[1]) == {"density": 0.2}
    assert classifier.searched_options("ties") == {
        name: {"density": float(name[-3:])} for name in names
    }
    assert paths.measuring(classifier, "mini-resnet/trial1", "ties", set()).measured == 2
    assert paths.chosen_vector(classifier, "ties") == ["selected/ties.json"]
    assert (
        paths.chosen_vector(classifier, "negmerge")
        == paths.chosen_single(classifier, names[0])
        == []
    )
    with pytest.raises(UserError, match=r"^unknown vector 'ties.density0.3'; "):
        classifier.merge_options("ties.density0.3")


def test_only_sweeps_that_others_read_too_are_jobs_of_their_own(classifier):
    def swept(experiment, method="task-arithmetic", drawn=()):
        found = paths.measuring(experiment, "mini-resnet/trial1", method, set(drawn))
        assert found.measured + len(found.swept) == len(experiment.candidates(method))
        return found.swept

    drawn = {"mini-resnet/trial1/sweeps/e16-ls0.csv", "mini-resnet/trial2/sweeps/e8-ls0.csv"}
    assert swept(classifier) == []
    assert swept(classifier, drawn=drawn) == ["sweeps/e16-ls0.csv"]
    assert swept(classifier, "negmerge", {"mini-resnet/trial1/sweeps/negmerge.csv"}) == []
    classifier.methods["task-arithmetic-8"] = Use(points=["e8-*"])
    both = ["sweeps/e8-ls0.csv", "sweeps/e8-ls0.1.csv"]
    assert swept(classifier) == swept(classifier, "task-arithmetic-8") == both


def test_only_a_single_vector_and_its_mask_wait_for_a_choice(example_with):
    few = {"points": ["e8-*"]}
    uses = {"masked-single": {}, "task-arithmetic-8": few, "masked-single-8": few}
    study = example_with({f"{CLASSIFIER}/methods/{name}": use for name, use in uses.items()})
    one = study.experiments["mini-resnet"]
    found = {name: paths.chosen_single(one, name) for name in one.methods}
    assert {name: place for name, place in found.items() if place} == {
        "task-arithmetic": ["selected/task-arithmetic.json"],
        "task-arithmetic-8": ["selected/task-arithmetic-8.json"],
        "masked-single": ["selected/task-arithmetic.json"],
        "masked-single-8": ["selected/task-arithmetic-8.json"],
    }


def test_a_vector_that_nothing_makes_is_refused(classifier):
    for name in ("task-arithmetic", "original", "negmerge.gap", "e9"):
        with pytest.raises(UserError, match=rf"^unknown vector '{name}'; "):
            paths.candidate(classifier, name)


def test_a_choice_that_changes_nothing_takes_the_scores_of_the_base(classifier, clip):
    files = ["scores/original.json", "outcomes/original.safetensors"]
    assert paths.unchanged(classifier, "negmerge") == files
    assert paths.unchanged(classifier, "gradient-ascent") == files
    for name in ("original", "retrain", "random-label-forget"):
        assert paths.unchanged(classifier, name) == []
    assert paths.unchanged(clip, "negmerge")[0] == "scores/pretrained.json"
    del clip.methods["pretrained"]
    assert paths.unchanged(clip, "negmerge") == []


def searched(experiment, drawn=frozenset()):
    """Name the methods that are searched with pruning."""
    chosen = [name for name in experiment.methods if experiment.is_searched(name)]
    found = {
        name: paths.measuring(experiment, "mini-resnet/trial1", name, drawn) for name in chosen
    }
    return {name for name, how in found.items() if how.is_pruned}


def test_a_pruned_search_takes_the_place_of_sweeps_but_where_a_rule_needs_them(pruned):
    # Its rules are `retain` and `gap`, which needs sweeps; then all rules choose by them.
    assert not searched(pruned)
    rules = {"criterion": "retain", "other_criteria": []}
    one = pruned.model_copy(update={"selection": pruned.selection.model_copy(update=rules)})
    assert searched(one) >= {"task-arithmetic", "greedy", "negmerge", "negmerge-8"}
    assert not searched(one) & {"gradient-ascent", "ties", "original"}
    # A figure needs the whole sweep of a merge; and those of all points serve the best of them.
    drawn = {f"mini-resnet/trial1/sweeps/{name}.csv" for name in ("negmerge", *POINTS)}
    assert not searched(one, drawn) & {"negmerge", "task-arithmetic"}
    assert "task-arithmetic" in searched(one, drawn - {"mini-resnet/trial1/sweeps/e8-ls0.csv"})


def test_a_method_may_be_searched_with_pruning_by_itself(example_with):
    study = example_with({"experiments/mini-clip/methods/emr": {"search": "exact-pruned"}})
    assert searched(study.experiments["mini-clip"]) == {"emr"}
