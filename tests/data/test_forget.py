"""Which training images are forgotten: what draws promise, and what files of users may hold."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data import forget
from negmerge.data.forget import FILE_PARTS, PARTS, Split, forget_split, read_split, write_split
from negmerge.errors import UserError

NAMES = ["train/cat/1.jpg", "train/cat/a b.jpg", "train/dog/1.jpg", "train/dog/2.jpg"]


@pytest.fixture(scope="module")
def official(golden):
    return golden("salun_split")


def labels_of(n, classes=4):
    return np.random.default_rng(n).integers(0, classes, n)


def assert_same(one, other):
    for name in PARTS:
        assert np.array_equal(vars(one)[name], vars(other)[name]), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_salun_split_is_the_official_one(official, seed):
    split = forget_split(official["train_targets"], 0.1, seed, rule="salun")
    assert len(split.forget) == official.meta["num_indexes_to_replace"]
    for part, name in (("forget", "forget"), ("retain", "retain"), ("validation", "val")):
        assert np.array_equal(vars(split)[part], official[f"seed{seed}/{name}_idx"])
    assert np.array_equal(split.original, official[f"seed{seed}/train_idx"])


def test_the_original_model_may_come_from_another_seed(official):
    labels = official["train_targets"]
    quirk = forget_split(labels, 0.1, 2, rule="salun", original_seed=1)
    plain = forget_split(labels, 0.1, 2, rule="salun")
    assert np.array_equal(quirk.original, official["default/train_idx"])
    assert_same(replace(quirk, original=plain.original), plain)
    assert 0.03 < len(np.setdiff1d(quirk.forget, quirk.original)) / len(quirk.forget) < 0.2


@given(st.integers(40, 300), st.floats(0.05, 0.95), st.integers(1, 2**32 - 1))
def test_splits_are_disjoint_whole_and_of_their_size(n, share, seed):
    labels = labels_of(n)
    for rule in ("uniform", "salun"):
        split = forget_split(labels, share, seed, rule=rule)
        assert sorted([*split.forget, *split.retain, *split.validation]) == list(range(n))
        assert len(split.forget) == round(share * (n - len(split.validation)))
        assert sorted([*split.forget, *split.retain]) == split.original.tolist()
        assert all(part.dtype == np.int64 for part in vars(split).values())
        for label in range(4):
            tenth = np.count_nonzero(labels == label) // 10 if rule == "salun" else 0
            assert np.count_nonzero(labels[split.validation] == label) == tenth
        np.random.seed(seed)  # numpy's own seed changes nothing
        assert_same(split, forget_split(labels, share, seed, rule=rule))
    # The same in every version.
    assert forget_split(labels_of(20), 0.2, 0).forget.tolist() == [1, 8, 18, 19]


def given_split(path, text, n=9, names=()):
    path.write_text(text, encoding="utf-8-sig")
    return forget_split(labels_of(n), None, 0, rule="given", file=path, names=names)


def test_images_may_be_given_by_index_or_by_name(tmp_path):
    split = given_split(tmp_path / "f", "7\n2\n\n 5 \n")
    assert split.forget.tolist() == [2, 5, 7]
    assert split.retain.tolist() == [0, 1, 3, 4, 6, 8]
    assert split.original.tolist() == list(range(9))
    named = given_split(tmp_path / "f", "train/dog/2.jpg\n\n train/cat/a b.jpg\r\n", 4, NAMES)
    assert named.forget.tolist() == [1, 3]
    assert_same(named, given_split(tmp_path / "f", "3\n1\n", 4, NAMES))


def test_classes_are_forgotten_whole_and_tested_apart():
    labels = labels_of(50)
    split = forget_split(labels, None, 0, rule="class", classes=[3, 1])
    assert split.forget.tolist() == [n for n in range(50) if labels[n] in (1, 3)]
    assert split.retain.tolist() == [n for n in range(50) if labels[n] in (0, 2)]
    assert split.original.tolist() == list(range(50))
    apart = forget.test_parts(np.array([0, 1, 2, 3, 0]), [3, 1])
    parts = {name: part.tolist() for name, part in apart.items()}
    assert parts == {"test": [0, 2, 4], "forget_test": [1, 3]}
    assert forget.test_parts(np.array([0, 1]), [])["test"].tolist() == [0, 1]


SPLIT = Split(*(np.array(part) for part in ([0, 1], [2, 3], [4], [0, 1, 2, 3])))


@pytest.mark.parametrize("forget_test", [[], [1]])
def test_a_split_comes_back_from_its_file(tmp_path, forget_test):
    path = tmp_path / "split.json"
    write_split(path, replace(SPLIT, forget_test=np.array(forget_test, np.int64)))
    assert ("forget_test" in path.read_text()) == bool(forget_test)
    again = read_split(path, 5, 3)
    assert_same(SPLIT, again)
    assert again.forget_test.tolist() == forget_test
    assert all(part.dtype == np.int64 for part in vars(again).values())


def read_changed(path, **changes):
    parts = {name: vars(SPLIT)[name].tolist() for name in FILE_PARTS}
    path.write_text(json.dumps(parts | changes))
    return read_split(path, 5, 3)


def drawn(**changes):
    return forget_split(**{"labels": labels_of(20), "share": 0.1, "seed": 2} | changes)


WRONG = [
    (lambda path: given_split(path, "1\ntwo\n"), "{}: line 2 is 'two', expected an index"),
    (lambda path: given_split(path, "1\n2\n1\n"), "{}: index 1 is repeated"),
    (lambda path: given_split(path, "4\n9\n"), "{}: index 9 is out of range, expected 0..8"),
    (lambda path: given_split(path, "0\n1\n", 2), "{}: retain has no image, expected at least 1"),
    (lambda path: given_split(path, "train/cat/2.jpg\n", 4, NAMES),
     "{}: line 1: 'train/cat/2.jpg' is not a training image; did you mean 'train/dog/2.jpg'?"),
    (lambda path: given_split(path, f"{NAMES[2]}\n{NAMES[0]}\n{NAMES[2]}\n", 4, NAMES),
     "{}: line 3: 'train/dog/1.jpg' stands in line 1 too"),
    (lambda path: drawn(share=0.01), "forget share 0.01 of 20 images is 0 images, expected at"),
    (lambda path: drawn(rule="salun", seed=0), "seed 0: the rule salun also draws"),
    (lambda path: drawn(rule="class", classes=[0, 1, 2, 3]), "forget.classes: retain has no image"),
    (lambda path: forget.test_parts(np.array([1, 1]), [1]), "forget.classes: test has no image of"),
    (lambda path: read_changed(path, forget=[0, 3]), "{}: forget and retain share index 3"),
    (lambda path: read_changed(path, forget=[0.0]), "{}: forget: found [0.0], expected a list of"),
    (lambda path: read_changed(path, test=[3]), "{}: test: index 3 is out of range, expected 0..2"),
    (lambda path: read_changed(path, more=[]), "{}: holds forget, retain, validation, original, "),
]  # fmt: skip


@pytest.mark.parametrize(("call", "finding"), WRONG)
def test_what_is_wrong_is_named(tmp_path, call, finding):
    path = tmp_path / "split"
    with pytest.raises(UserError) as caught:
        call(path)
    assert str(caught.value).startswith(finding.format(path))
