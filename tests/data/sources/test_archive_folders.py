"""How images are drawn from folders of classes."""

from pathlib import PurePosixPath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data.sources.archive_folders import cut
from negmerge.errors import UserError


def paths(*sizes):
    return [
        PurePosixPath(f"2750/c{k}/{n:04}.jpg") for k, size in enumerate(sizes) for n in range(size)
    ]


def test_each_class_is_drawn_by_the_seed_and_its_number():
    found = cut(paths(9, 7), {"val": 2, "test": 0.3}, 5, "x")
    for number, size in enumerate((9, 7)):
        order = np.random.RandomState([5, number]).permutation(size).tolist()
        files = paths(9, 7)[9 * number :][:size]
        assert {n for n in range(size) if found[files[n]] == "val"} == set(order[:2])
        test = order[2 : 2 + round(0.3 * size)]
        assert {n for n in range(size) if found[files[n]] == "test"} == set(test)
        assert {found[file] for file in files} == {"train", "val", "test"}


@given(st.lists(st.integers(4, 30), min_size=2, max_size=5), st.integers(0, 2**32 - 1))
def test_what_a_class_gives_does_not_depend_on_the_others(sizes, seed):
    held_out = {"val": 2, "test": 0.25}
    found = cut(paths(*sizes), held_out, seed, "x")
    first = cut(paths(sizes[0]), held_out, seed, "x")
    assert {path: found[path] for path in first} == first
    assert [path for path in found if found[path] == "val"] != []


def test_a_class_that_is_too_small_is_named():
    with pytest.raises(UserError) as caught:
        cut(paths(9, 5), {"val": 3, "test": 3}, 0, "EuroSAT.zip")
    assert str(caught.value) == (
        "EuroSAT.zip: '2750/c1' has 5 images, 6 of each class are held out"
    )
