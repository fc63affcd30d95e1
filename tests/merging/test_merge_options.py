"""Merge methods say what they are, and refuse other options by name."""

import pytest
from merge_examples import rows

from negmerge.errors import UserError
from negmerge.merging import METHODS, merge

# Wrong values of each option of each method.
WRONG = {
    "breadcrumbs": {"density": [1.1], "remove": [-0.1], "first": ["none"]},
    "consensus": {"threshold": [1.1], "active": [-1, 1.5, 1001]},
    "dare": {"drop": [1.0], "by": ["luck"], "rescale": ["no"], "seed": [0.5, -1]},
    "masked-single": {"single": [0]},
    "negmerge": {"operation": ["max"]},
    "pcb": {"ratio": [1.1], "clip": [0.5]},
    "random-mask": {"seed": [-1, 0.5, 2**32, "x"]},
    "relaxed": {"agreement": [0.49, 1.01, "most"]},
    "ties": {"density": [1.1], "of": ["all"], "numbers": [-1, 1.5], "reduce": ["median"]},
}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_says_what_it_is_and_what_it_takes(name):
    method = METHODS[name]
    assert method.title
    assert method.reference
    assert set(method.options.model_fields) == set(WRONG.get(name, ()))
    for option, field in method.options.model_fields.items():
        assert not field.is_required(), option
        assert field.description, option


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        (name, key, one)
        for name, keys in WRONG.items()
        for key, wrong in keys.items()
        for one in wrong
    ],
)
def test_other_values_are_refused(name, option, value):
    with pytest.raises(UserError) as caught:
        merge(name, rows([1.0]), **{option: value})
    assert str(caught.value).startswith(f"{name}: {option} is {value!r}: input should be ")
