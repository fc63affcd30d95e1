import pytest

from negmerge.errors import UserError
from negmerge.settings import methods
from negmerge.settings.methods import Use, base_name, check, check_options, combinations, kind
from negmerge.settings.study import load_study


@pytest.mark.parametrize(
    ("name", "method", "of_kind"),
    [
        ("negmerge", "negmerge", "merge"),
        ("ties-d50-mean", "ties", "merge"),
        ("l1-sparse-2", "l1-sparse", "unlearn"),
        ("task-arithmetic-e8", "task-arithmetic", "single"),
        ("original", "original", "base"),
    ],
)
def test_a_longer_name_is_the_method_that_it_begins_with(name, method, of_kind):
    assert methods.is_known(name)
    assert (base_name(name), kind(name)) == (method, of_kind)


def test_the_longest_of_several_fitting_methods_wins(monkeypatch):
    known = {"random": "merge", "random-label": "unlearn", "random-label-x": "merge"}
    monkeypatch.setattr(methods, "known", lambda: known)
    for name, expected in {
        "random": "random",
        "random-labels": "random",
        "random-label-forget": "random-label",
        "random-label-x": "random-label-x",
        "random-label-x-2": "random-label-x",
    }.items():
        assert base_name(name) == expected


@pytest.mark.parametrize("name", ["negmerge4", "negmerge.gap", "neg", "", "-negmerge", "4-ties"])
def test_a_name_that_begins_otherwise_is_unknown(name):
    assert not methods.is_known(name)
    with pytest.raises(UserError, match=rf"^unknown method '{name}'; .*valid: "):
        base_name(name)


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("original", "Original"),
        ("task-arithmetic", "Task Arithmetic (single best)"),
        ("greedy-4", "Greedy Merge (4)"),
        ("ties", "TIES-Merging"),
        ("random-label-forget", "Random Labelling (forget)"),
    ],
)
def test_the_title_of_a_use_tells_it_from_others(name, title):
    assert methods.title(name) == title


def test_no_two_methods_have_one_title():
    assert len({methods.title(name) for name in methods.known()}) == len(methods.known())


def use(**keys):
    return Use.model_validate(keys)


def test_a_grid_gives_the_options_of_each_combination():
    assert combinations(use(epochs=3)) == [{"epochs": 3}]
    found = combinations(use(epochs=3, grid={"learning_rate": [0.01, 0.1], "keep": [1]}))
    assert found == [
        {"epochs": 3, "learning_rate": 0.01, "keep": 1},
        {"epochs": 3, "learning_rate": 0.1, "keep": 1},
    ]


SALUN = "augmented, epochs, learning_rate, mask_share, retain"
WRONG = {
    "a dot": ("negmerge-0.5", {}, "the name of a method's use must not have a '.' in it"),
    "points of a method that trains": (
        "salun",
        {"points": ["*"]},
        "`points` goes with merges, and only with them",
    ),
    "a grid of a merge": (
        "ties",
        {"grid": {"density": [0.1]}},
        "`grid` goes with methods that train, and only with them",
    ),
    "a second base": (
        "original-2",
        {},
        "there is only one original, expected the name 'original'",
    ),
    "an option of a base": ("pretrained", {"epochs": 1}, "unknown option 'epochs'; valid: none"),
    "an unknown option of a method that trains": (
        "salun-2",
        {"epoch": 1},
        f"unknown option 'epoch'; did you mean 'epochs'? valid: {SALUN}",
    ),
    "a value of a method that trains": (
        "salun",
        {"mask_share": 1.5},
        "mask_share is 1.5: input should be less than or equal to 1",
    ),
    "a value in a grid": (
        "salun",
        {"grid": {"learning_rate": [0.1, 0]}},
        "learning_rate is 0: input should be greater than 0",
    ),
    "an option of the greedy merge": (
        "greedy-2",
        {"strikt": True},
        "unknown option 'strikt'; did you mean 'strict'? valid: search_each_step, strict",
    ),
}


def check_all(name, keys):
    check(name, use(**keys))
    check_options(f"methods.{name}", name, use(**keys), "classifier")


@pytest.mark.parametrize(("name", "keys", "finding"), WRONG.values(), ids=WRONG)
def test_what_does_not_go_with_a_method_is_refused(name, keys, finding):
    with pytest.raises(UserError) as caught:
        check_all(name, keys)
    assert str(caught.value) == f"methods.{name}: {finding}"


def test_a_method_that_trains_is_refused_in_scenarios_that_it_does_not_serve():
    with pytest.raises(UserError) as caught:
        check_options("methods.npo", "npo", use(), "classifier")
    assert str(caught.value) == "methods.npo: it is for language, not for classifier"
    with pytest.raises(UserError, match=r"it is for classifier, not for language$"):
        check_options("methods.salun-2", "salun-2", use(), "language")
    for scenario in ("classifier", "language"):
        check_options("methods.gradient-ascent", "gradient-ascent", use(), scenario)


@pytest.fixture
def with_methods(config, change_yaml):
    """A function that gives an experiment of the example other methods."""

    def load(experiment, uses):
        path = config / "studies" / "example.yaml"
        change_yaml(path, "tables", {})
        change_yaml(path, "figures", {})
        change_yaml(path, f"experiments/{experiment}/methods", uses)
        return load_study(config, "example").experiments[experiment]

    return load


def test_points_are_chosen_by_patterns(with_methods):
    found = with_methods(
        "mini-clip",
        {
            "negmerge": {},
            "negmerge-4": {"points": ["m10-*", "m1-n1", "m1-*"]},
            "ties-n1": {"points": ["*-n1"]},
            "task-arithmetic-1": {"points": ["m5-n3"]},
        },
    )
    assert found.points("negmerge") == list(found.pool.changes)
    # Each once and in the order of the pool, whatever the order of the patterns.
    assert found.points("negmerge-4") == ["m1-n1", "m1-n3", "m10-n1", "m10-n3"]
    assert found.points("ties-n1") == ["m1-n1", "m10-n1", "m5-n1"]
    assert found.candidates("task-arithmetic-1") == ["m5-n3"]
    assert found.candidates("negmerge-4") == ["negmerge-4"]


def test_a_mask_needs_a_choice_among_the_vectors_that_it_merges(with_methods):
    single = {"task-arithmetic": {}, "task-arithmetic-1": {"points": ["m1-*"]}}
    found = with_methods("mini-clip", single | {"masked-single-1": {"points": ["m1-n?"]}})
    assert found.single("masked-single-1") == "task-arithmetic-1"
    assert found.single("task-arithmetic") == "task-arithmetic"
    with pytest.raises(UserError) as caught:
        with_methods("mini-clip", single | {"masked-single": {"points": ["m10-*"]}})
    assert str(caught.value).endswith(
        "mini-clip: methods.masked-single: it masks what task-arithmetic chose of the same points, "
        "but no task-arithmetic chooses among m10-n1, m10-n3"
    )
    with pytest.raises(UserError) as caught:
        with_methods("mini-clip", single | {"masked-single": {"single": 2}})
    assert str(caught.value).endswith(
        "methods.masked-single: leave `single` out of a study; task-arithmetic chooses it"
    )


def test_a_pattern_that_fits_no_point_is_refused(with_methods):
    with pytest.raises(UserError) as caught:
        with_methods("mini-clip", {"negmerge-4": {"points": ["m1-*", "m1-n2"]}})
    assert str(caught.value).endswith(
        "experiments.mini-clip: methods.negmerge-4.points: unknown point 'm1-n2'; did you mean "
        "'m1-n3'? valid: m1-n1, m1-n3, m10-n1, m10-n3, m5-n1, m5-n3"
    )


@pytest.mark.parametrize("method", ["salun", "random-label-forget"])
def test_methods_that_train_other_models_are_refused(with_methods, method):
    with pytest.raises(UserError) as caught:
        with_methods("mini-clip", {"perta": {}, method: {}})
    assert str(caught.value).endswith(
        f"experiments.mini-clip: methods.{method}: it is for classifier, not for zero-shot"
    )


@pytest.mark.parametrize("method", ["retrain", "original"])
def test_methods_of_classifiers_are_refused_elsewhere(with_methods, method):
    with pytest.raises(UserError) as caught:
        with_methods("mini-clip", {"negmerge": {}, method: {}})
    found, _, valid = str(caught.value).partition("; ")
    assert found.endswith(f"experiments.mini-clip: zero-shot: unknown method '{method}'")
    assert valid.rpartition("valid: ")[2] == (
        "breadcrumbs, conflict, consensus, dare, emr, greedy, magmax, masked-single, negmerge, "
        "pcb, perta, pretrained, random-mask, relaxed, task-arithmetic, ties, uniform"
    )
