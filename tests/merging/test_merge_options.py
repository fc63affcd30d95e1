"""Merge methods say what they are, and refuse other options by name."""

import pytest

from merge_examples import rows
from negmerge.errors import UserError
from negmerge.merging import METHODS, merge


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_is_and_refuses_other_types_of_its_options_by_name(name):
    method = METHODS[name]
    assert method.title
    assert method.reference
    for option, field in method.options.model_fields.items():
        assert not field.is_required(), option
        assert field.description, option
        with pytest.raises(UserError) as caught:
            merge(name, rows([1.0]), **{option: "odd"})
        assert str(caught.value).startswith(f"{name}: {option} is 'odd': input should be ")


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("consensus", "active", 1001),
        ("dare", "drop", 1.0),
        ("masked-single", "single", 0),
        ("pcb", "clip", 0.5),
        ("relaxed", "agreement", 0.49),
        ("ties", "density", 1.1),
    ],
)
def test_values_that_a_method_cannot_compute_with_are_refused(name, option, value):
    with pytest.raises(UserError) as caught:
        merge(name, rows([1.0]), **{option: value})
    assert str(caught.value).startswith(f"{name}: {option} is {value!r}: input should be ")
