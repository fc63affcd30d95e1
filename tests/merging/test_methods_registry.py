import pytest

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.merging import METHODS, Method
from negmerge.merging.registry import Option

METHOD = Method(
    combine=lambda block, density, rounds, kind: next(iter(block)),
    title="Test",
    reference="none",
    options={
        "density": Option(0.2, "Share of the numbers to keep."),
        "rounds": Option(3, "How often.", lowest=1, highest=10, whole=True),
        "kind": Option("mean", "What to take.", choices=("mean", "sum")),
        "scaled": Option(True, "Whether to scale."),
    },
)


def test_methods_are_the_files_of_a_folder():
    assert set(METHODS) == set(plugins.names(plugins.MERGE_METHODS))
    assert {"uniform", "negmerge", "conflict"} <= set(METHODS)
    assert len(METHODS) == len(list(METHODS))
    assert "no-such-method" not in METHODS
    for method in METHODS.values():
        assert method.title
        assert method.reference
        assert method.check("it", {}) == {name: o.default for name, o in method.options.items()}


def test_defaults_are_filled_in():
    assert METHOD.check("test", {}) == {"density": 0.2, "rounds": 3, "kind": "mean", "scaled": True}
    given = {"density": 1, "rounds": 10, "kind": "sum", "scaled": False}
    assert METHOD.check("test", given) == given
    assert METHOD.check("test", {"density": 0.0})["density"] == 0.0


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), "0.5", None, True])
def test_values_out_of_range_or_of_another_type_are_refused(value):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"density": value})
    assert str(caught.value) == (
        f"test: option density is {value!r}, expected a number from 0.0 to 1.0"
    )


@pytest.mark.parametrize("value", [0, 11, 3.0, 2.5, "3", True])
def test_an_option_in_whole_numbers_takes_no_others(value):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"rounds": value})
    assert str(caught.value) == (
        f"test: option rounds is {value!r}, expected a whole number from 1 to 10"
    )


@pytest.mark.parametrize("value", ["median", "", 1, None])
def test_an_option_with_choices_takes_no_others(value):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"kind": value})
    assert str(caught.value) == f"test: option kind is {value!r}, expected one of mean, sum"


@pytest.mark.parametrize("value", [0, 1, 1.0, "true", "no", None])
def test_an_option_that_is_true_or_false_takes_nothing_else(value):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"scaled": value})
    assert str(caught.value) == f"test: option scaled is {value!r}, expected true or false"


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"densty": 0.2})
    assert str(caught.value) == (
        "test: unknown option 'densty'; did you mean 'density'? "
        "valid: density, kind, rounds, scaled"
    )
