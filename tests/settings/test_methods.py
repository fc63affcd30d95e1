import pytest

from negmerge.errors import UserError
from negmerge.settings import methods
from negmerge.settings.methods import Use, base_name, check, check_options, combinations, kind
from refusals import refused


def test_a_longer_name_is_the_method_that_it_begins_with():
    for name, method, of_kind in (
        ("ties-d50-mean", "ties", "merge"),
        ("l1-sparse-2", "l1-sparse", "unlearn"),
        ("task-arithmetic-e8", "task-arithmetic", "single"),
        ("original", "original", "base"),
    ):
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


@pytest.mark.parametrize("name", ["negmerge4", "neg.merge", "neg", "", "-negmerge", "4-ties"])
def test_a_name_that_begins_otherwise_is_unknown(name):
    assert not methods.is_known(name)
    with pytest.raises(UserError, match=rf"^unknown method '{name}'; .*valid: "):
        base_name(name)


def test_no_two_uses_have_one_title():
    assert methods.title("random-label-forget") == "Random Labelling (forget)"
    assert len({methods.title(name) for name in methods.known()}) == len(methods.known())


@pytest.mark.parametrize(
    "name", [name for name, kind in methods.known().items() if kind in methods.FOLDERS]
)
def test_a_method_says_what_it_is_and_refuses_other_types_of_its_options_by_name(name):
    method = methods.definition(name)
    assert method.title
    assert method.reference
    for option, field in method.options.model_fields.items():
        assert not field.is_required(), option
        assert field.description, option
        # Those of training are of papers with several values, so they say which one they have.
        sources = ("README", "issue", "code", "paper", "scripts", "notebook", "choice")
        is_sourced = any(source in field.description for source in sources)
        assert is_sourced or kind(name) == "merge", option
        with pytest.raises(UserError, match=f"^{name}: {option} is 'odd': "):
            method.check(name, {option: "odd"})


def use(**keys):
    return Use.model_validate(keys)


def test_a_grid_gives_the_options_of_each_combination():
    assert combinations(use(epochs=3)) == [{"epochs": 3}]
    found = combinations(use(epochs=3, grid={"learning_rate": [0.01, 0.1], "keep": [1]}))
    assert found == [
        {"epochs": 3, "learning_rate": 0.01, "keep": 1},
        {"epochs": 3, "learning_rate": 0.1, "keep": 1},
    ]


def test_a_merge_has_a_vector_for_each_combination_of_its_grid():
    assert methods.merged("ties-2", use(reduce="sum")) == {"ties-2": {"reduce": "sum"}}
    grid = {"density": [0.1, 1], "of": ["state"]}
    assert methods.merged("ties", use(reduce="sum", grid=grid)) == {
        "ties.density0.1-ofstate": {"reduce": "sum", "density": 0.1, "of": "state"},
        "ties.density1-ofstate": {"reduce": "sum", "density": 1, "of": "state"},
    }
    assert base_name("ties-2.density0.1") == "ties"


# A use of a method, its wrong settings, and what the line says.
WRONG = [
    ("negmerge-0.5", {}, "'.'"),
    ("salun", {"points": ["*"]}, "`points` goes with merges"),
    ("greedy", {"grid": {"strict": [True]}}, "`grid` goes with methods that train and merges"),
    ("ties", {"grid": {"density": [0.1, 1.5]}}, "density is 1.5", "equal to 1"),
    ("original-2", {}, "expected the name 'original'"),
    ("pretrained", {"epochs": 1}, "'epochs'", "valid: none"),
    ("salun-2", {"epoch": 1}, "'epoch'; did you mean 'epochs'?"),
    ("salun", {"mask_share": 1.5}, "mask_share is 1.5", "equal to 1"),
    ("salun", {"grid": {"learning_rate": [0.1, 0]}}, "learning_rate is 0", "greater than 0"),
    ("greedy-2", {"strikt": True}, "'strikt'; did you mean 'strict'?"),
]


@pytest.mark.parametrize(("name", "keys", "parts"), [(*w[:2], w[2:]) for w in WRONG])
def test_what_does_not_go_with_a_method_is_refused(name, keys, parts):
    def check_all():
        check(name, use(**keys))
        check_options(f"methods.{name}", name, use(**keys), "classifier")

    line = refused(check_all)
    assert line.startswith(f"methods.{name}: ")
    assert all(part in line for part in parts), line


def test_points_are_chosen_by_patterns(example_with):
    uses = {
        "negmerge-4": ["m10-*", "m1-n1", "m1-*"],
        "ties-n1": ["*-n1"],
        "task-arithmetic-1": ["m5-n3"],
    }
    place = "experiments/mini-clip/methods"
    study = example_with({f"{place}/{name}": {"points": points} for name, points in uses.items()})
    found = study.experiments["mini-clip"]
    assert found.points("negmerge") == list(found.pool.changes)
    # Each once and in the order of the pool, whatever the order of the patterns.
    assert found.points("negmerge-4") == ["m1-n1", "m1-n3", "m10-n1", "m10-n3"]
    assert found.points("ties-n1") == ["m1-n1", "m10-n1", "m5-n1"]
    assert found.candidates("task-arithmetic-1") == ["m5-n3"]
    assert found.candidates("negmerge-4") == ["negmerge-4"]
