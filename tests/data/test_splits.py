import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data import train_val_split
from negmerge.data.splits import MNIST_FIRST
from negmerge.errors import UserError

SETS = ("MNIST", "Cars", "DTD", "GTSRB", "RESISC45", "SUN397", "SVHN", "ImageNet")


def digest(indices):
    return hashlib.sha256(indices.numpy().astype("<i8").tobytes()).hexdigest()


@pytest.mark.parametrize("name", [*(f"{name}Val" for name in SETS), "tiny"])
def test_the_split_is_the_official_one(golden, name):
    file = golden("train_val_split")
    training, validation = train_val_split(int(file[f"{name}/n"]), name)
    for part, indices in (("train", training), ("val", validation)):
        assert indices.dtype == torch.int64
        assert len(indices) == file[f"{name}/n_{part}"]
        first = file[f"{name}/{part}_first16"]
        assert np.array_equal(indices[: len(first)].numpy(), first)
        assert digest(indices) == str(file[f"{name}/{part}_sha256_int64_le"])


@pytest.mark.parametrize("name", ["MNIST", "mnist"])  # of the golden vectors, and of the row
def test_mnist_starts_where_its_authors_assert(monkeypatch, name):
    assert train_val_split(60000, name)[0][0] == MNIST_FIRST == 36044
    monkeypatch.setattr("negmerge.data.splits.MNIST_FIRST", 5)
    with pytest.raises(UserError) as caught:
        train_val_split(60000, name)
    assert str(caught.value) == (
        f"{name}: the first training index is 36044, expected 5: "
        f"torch {torch.__version__} draws another permutation"
    )


@given(st.integers(10, 400))
def test_the_parts_are_disjoint_and_whole(n):
    training, validation = train_val_split(n, "any")
    assert len(validation) == n // 10
    assert sorted(torch.cat([training, validation]).tolist()) == list(range(n))


def test_at_most_5000_are_held_out():
    assert len(train_val_split(50010, "any")[1]) == 5000


def test_the_name_and_torch_s_seed_change_nothing():
    torch.manual_seed(1)
    one = train_val_split(100, "one")
    torch.manual_seed(2)
    other = train_val_split(100, "other")
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("n", [0, 9])
def test_sets_too_small_to_split_are_refused(n):
    with pytest.raises(UserError) as caught:
        train_val_split(n, "tiny")
    assert str(caught.value) == (
        f"tiny: {n} training items, at least 10 are needed to hold some out"
    )
