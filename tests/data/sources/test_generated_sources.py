"""The sources that need no download: digits inside scikit-learn, and drawn letters."""

import itertools

import numpy as np
import pytest
from sklearn.datasets import load_digits

from negmerge.data.sources import letters, scikit_learn_digits
from negmerge.errors import UserError

OPTIONS = {
    "letters": "AB",
    "seed": 0,
    "jitter": 0.5,
    "fonts": {"train": ["DejaVuSans", "cmr10"], "test": ["DejaVuSerif"]},
}
ROW = {"options": OPTIONS, "splits": {"train": 8, "test": 2}}


def pixels(items):
    return np.stack([np.asarray(image) for _, _, image in items])


def test_digits_are_those_of_scikit_learn():
    row = {"splits": {"pretrain": 2, "train": 3, "test": 1792}}
    found = list(scikit_learn_digits.read({}, row))
    digits = load_digits()
    assert [split for split, _, _ in found[:6]] == ["pretrain"] * 2 + ["train"] * 3 + ["test"]
    assert [label for _, label, _ in found] == digits.target.tolist()
    assert np.array_equal(pixels(found), np.round(digits.images * 255 / 16))


def test_letters_and_fonts_take_turns():
    found = list(letters.read({}, ROW))
    assert [(split, label) for split, label, _ in found] == [
        *(("train", number % 2) for number in range(8)),
        *(("test", number % 2) for number in range(2)),
    ]
    calm = ROW | {"options": OPTIONS | {"jitter": 0}}
    images = pixels(letters.read({}, calm))
    images = images > images.max(axis=(1, 2), keepdims=True) / 2  # their brightness varies
    assert np.array_equal(images[0], images[4])  # A in the first font
    assert np.array_equal(images[2], images[6])  # A in the second
    for one, other in itertools.combinations(images[[0, 1, 2, 3]], 2):
        assert not np.array_equal(one, other)


def test_letters_are_the_same_each_time_and_differ_with_the_seed():
    first = pixels(letters.read({}, ROW))
    assert np.array_equal(pixels(letters.read({}, ROW)), first)
    other = pixels(letters.read({}, ROW | {"options": OPTIONS | {"seed": 1}}))
    assert not np.array_equal(other, first)
    assert len(np.unique(first, axis=0)) == len(first)


def test_a_font_that_is_not_there_is_named():
    options = OPTIONS | {"fonts": {"train": ["Comic"], "test": ["Comic"]}}
    with pytest.raises(UserError, match=r"/Comic\.ttf: no such font in matplotlib \d"):
        list(letters.read({}, ROW | {"options": options}))
