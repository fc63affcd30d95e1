import pytest

from negmerge import plugins
from negmerge.errors import UserError
from negmerge.merging import METHODS, Method
from negmerge.merging.registry import Option

METHOD = Method(
    combine=lambda tensors, density, rounds: next(iter(tensors)),
    title="Test",
    reference="none",
    options={
        "density": Option(0.2, 0.0, 1.0, "Share of the numbers to keep."),
        "rounds": Option(3, 1, 10, "How often."),
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
    assert METHOD.check("test", {}) == {"density": 0.2, "rounds": 3}
    assert METHOD.check("test", {"density": 1}) == {"density": 1, "rounds": 3}
    assert METHOD.check("test", {"density": 0.0, "rounds": 10}) == {"density": 0.0, "rounds": 10}


@pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), "0.5", None, True])
def test_values_out_of_range_or_of_another_type_are_refused(value):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"density": value})
    assert str(caught.value) == (
        f"test: option density is {value!r}, expected a number from 0.0 to 1.0"
    )


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"densty": 0.2})
    assert str(caught.value) == (
        "test: unknown option 'densty'; did you mean 'density'? valid: density, rounds"
    )
