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
