"""Options of methods: defaults, and what is refused in which words."""

from typing import Literal

import pytest
from pydantic import Field

from negmerge.errors import UserError
from negmerge.settings.checks import Described, Seed
from negmerge.settings.recipe import Settings, Share


class Options(Settings):
    """Options of each kind."""

    density: Share = Field(0.2, description="Share of the numbers to keep.")
    seed: Seed = Field(3, description="Seed.")
    kind: Literal["mean", "sum"] = Field("mean", description="What to take.")
    scaled: bool = Field(True, description="Whether to scale.")


METHOD = Described(title="Test", reference="none", options=Options)


def test_defaults_are_filled_in():
    defaults = {"density": 0.2, "seed": 3, "kind": "mean", "scaled": True}
    assert METHOD.check("test", {}).model_dump() == defaults
    given = {"density": 1, "seed": 0, "kind": "sum", "scaled": False}
    assert METHOD.check("test", given).model_dump() == given
    assert METHOD.check("test", {"density": 0.0}).density == 0.0
    assert Described(title="Test", reference="none").check("test", {}).model_dump() == {}


WRONG = [
    ("density", -0.01, "greater than or equal to 0"),
    *(("density", v, "less than or equal to 1") for v in (1.01, float("nan"))),
    *(("density", v, "a valid number") for v in ("half", True)),
    ("seed", 2**32, "less than 4294967296"),
    *(("seed", v, "a valid integer") for v in (3.0, True)),
    ("kind", "median", "'mean' or 'sum'"),
    *(("scaled", v, "a valid boolean") for v in (1, "true")),
]


@pytest.mark.parametrize(("option", "value", "expected"), WRONG)
def test_values_out_of_range_or_of_another_type_are_refused(option, value, expected):
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {option: value})
    assert str(caught.value) == f"test: {option} is {value!r}: input should be {expected}"


def test_an_unknown_option_is_refused_with_the_nearest():
    with pytest.raises(UserError) as caught:
        METHOD.check("test", {"density": -1, "densty": 0.2})
    assert str(caught.value) == (
        "test: unknown option 'densty'; did you mean 'density'? valid: density, kind, scaled, seed"
    )
