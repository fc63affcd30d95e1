import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data import train_val_split
from negmerge.errors import UserError

SETS = ("MNIST", "Cars", "DTD", "GTSRB", "RESISC45", "SUN397", "SVHN", "ImageNet")


@pytest.mark.parametrize("name", [*(f"{name}Val" for name in SETS), "tiny"])
def test_the_split_is_the_official_one(golden, name):
    file = golden("train_val_split")
    training, validation = train_val_split(int(file[f"{name}/n"]), name)
    for part, indices in (("train", training), ("val", validation)):
        assert indices.dtype == np.int64
        assert len(indices) == file[f"{name}/n_{part}"]
        first = file[f"{name}/{part}_first16"]
        assert np.array_equal(indices[: len(first)], first)
        digest = hashlib.sha256(indices.astype("<i8").tobytes()).hexdigest()
        assert digest == str(file[f"{name}/{part}_sha256_int64_le"])


@given(st.integers(10, 400))
def test_the_parts_are_disjoint_and_whole(n):
    training, validation = train_val_split(n, "any")
    assert len(validation) == n // 10
    assert len(train_val_split(50_010, "any")[1]) == 5000
    assert sorted([*training, *validation]) == list(range(n))


def test_sets_too_small_to_split_are_refused():
    with pytest.raises(UserError, match=r"^tiny: 9 training items, at least 10 are needed to hold"):
        train_val_split(9, "tiny")
