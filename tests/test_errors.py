import pytest

from negmerge.errors import UserError, find, nearest, unknown


def test_the_nearest_name_comes_first():
    names = ["uniform", "negmerge", "conflict"]
    assert nearest("negmrge", names) == (
        "did you mean 'negmerge'? valid: conflict, negmerge, uniform"
    )
    assert nearest("salun", names) == "valid: conflict, negmerge, uniform"
    assert nearest("salun", []) == "valid: none"
    assert unknown("method", 5, ["5e"]) == "unknown method 5; did you mean '5e'? valid: 5e"


def test_find():
    rows = {"a": 1, "b": 2}
    assert find("row", "b", rows) == 2
    with pytest.raises(UserError) as caught:
        find("row", "c", rows)
    assert str(caught.value) == "unknown row 'c'; valid: a, b"
