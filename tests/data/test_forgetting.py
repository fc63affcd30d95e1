import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.data import forget
from negmerge.data.forget import (
    FILE_PARTS,
    PARTS,
    Split,
    forget_split,
    read_split,
    write_split,
)
from negmerge.errors import UserError


@pytest.fixture(scope="module")
def official(golden):
    return golden("salun_split")


def labels_of(n, classes=4):
    return np.random.default_rng(n).integers(0, classes, n)


def split(forget=(0, 1), retain=(2, 3), validation=(4,), original=(0, 1, 2, 3)):
    return Split(*(np.array(part, np.int64) for part in (forget, retain, validation, original)))


def assert_same(one, other):
    for name in PARTS:
        assert np.array_equal(vars(one)[name], vars(other)[name]), name


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_salun_split_is_the_official_one(official, seed):
    found = forget_split(official["train_targets"], 0.1, seed, rule="salun")
    assert len(found.forget) == official.meta["num_indexes_to_replace"]
    for part, name in (("forget", "forget"), ("retain", "retain"), ("validation", "val")):
        assert np.array_equal(vars(found)[part], official[f"seed{seed}/{name}_idx"])
    assert np.array_equal(found.original, official[f"seed{seed}/train_idx"])


def test_the_original_model_may_come_from_another_seed(official):
    labels = official["train_targets"]
    quirk = forget_split(labels, 0.1, 2, rule="salun", original_seed=1)
    plain = forget_split(labels, 0.1, 2, rule="salun")
    assert np.array_equal(quirk.original, official["default/train_idx"])
    for part in ("forget", "retain", "validation"):
        assert np.array_equal(vars(quirk)[part], vars(plain)[part])
    unseen = np.setdiff1d(quirk.forget, quirk.original)
    assert 0.03 < len(unseen) / len(quirk.forget) < 0.2
    assert np.setdiff1d(plain.forget, plain.original).size == 0


@given(st.integers(2, 300), st.floats(0.01, 0.99), st.integers(0, 2**32 - 1))
def test_a_uniform_split_is_disjoint_whole_and_of_its_size(n, share, seed):
    if not 0 < round(share * n) < n:
        return
    found = forget_split(n, share, seed)
    assert len(found.forget) == round(share * n)
    assert sorted([*found.forget, *found.retain]) == list(range(n)) == found.original.tolist()
    assert found.validation.size == 0
    assert all(part.dtype == np.int64 for part in vars(found).values())
    assert (np.diff(found.forget) > 0).all()
    assert_same(found, forget_split(labels_of(n), share, seed))


@given(st.integers(40, 300), st.floats(0.05, 0.95), st.integers(1, 2**32 - 1))
def test_a_salun_split_is_disjoint_whole_and_of_its_size(n, share, seed):
    labels = labels_of(n)
    found = forget_split(labels, share, seed, rule="salun")
    parts = [*found.forget, *found.retain, *found.validation]
    assert sorted(parts) == list(range(n))
    assert len(found.forget) == round(share * (n - len(found.validation)))
    for label in range(4):
        held_out = np.count_nonzero(labels[found.validation] == label)
        assert held_out == np.count_nonzero(labels == label) // 10
    assert sorted([*found.forget, *found.retain]) == found.original.tolist()
    assert all(part.dtype == np.int64 for part in vars(found).values())
    assert_same(found, forget_split(labels, share, seed, rule="salun"))


def test_seeds_draw_different_images_and_numpy_s_own_seed_changes_nothing():
    np.random.seed(1)
    one = forget_split(100, 0.1, 5)
    np.random.seed(2)
    assert_same(one, forget_split(100, 0.1, 5))
    assert not np.array_equal(one.forget, forget_split(100, 0.1, 6).forget)
    # The numbers of a generator that must never change.
    assert forget_split(20, 0.2, 0).forget.tolist() == [1, 8, 18, 19]


def test_given_indices_are_forgotten_and_the_rest_is_kept(tmp_path):
    path = tmp_path / "forget.txt"
    path.write_text("7\n2\n\n 5 \n")
    found = forget_split(9, None, 0, rule="given", file=path)
    assert found.forget.tolist() == [2, 5, 7]
    assert found.retain.tolist() == [0, 1, 3, 4, 6, 8]
    assert found.original.tolist() == list(range(9))
    assert found.validation.size == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1\ntwo\n", "line 2 is 'two', expected an index"),
        ("1\n2\n1\n", "index 1 is repeated (1 in all)"),
        ("4\n9\n", "index 9 is out of range (1 in all), expected 0..8"),
        ("0\n1\n2\n3\n4\n5\n6\n7\n8\n", "retain has no image, expected at least 1 of 9"),
    ],
)
def test_a_wrong_list_of_indices_is_refused(tmp_path, text, message):
    path = tmp_path / "forget.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        forget_split(9, None, 0, rule="given", file=path)
    assert str(caught.value) == f"{path}: {message}"


NAMES = ["train/cat/1.jpg", "train/cat/a b.jpg", "train/dog/1.jpg", "train/dog/2.jpg"]


def test_images_may_be_given_by_name(tmp_path):
    path = tmp_path / "forget.txt"
    path.write_text("train/dog/2.jpg\n\n train/cat/a b.jpg\r\n", encoding="utf-8-sig")
    found = forget_split(4, None, 0, rule="given", file=path, names=NAMES)
    assert found.forget.tolist() == [1, 3]
    assert found.retain.tolist() == [0, 2]
    path.write_text("3\n1\n")
    assert_same(found, forget_split(4, None, 0, rule="given", file=path, names=NAMES))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "train/cat/1.jpg\ntrain/cat/2.jpg\n",
            "line 2: 'train/cat/2.jpg' is not a training image; did you mean 'train/dog/2.jpg'?",
        ),
        (
            "train/dog/1.jpg\ntrain/cat/1.jpg\n\ntrain/dog/1.jpg\n",
            "line 4: 'train/dog/1.jpg' stands in line 1 too",
        ),
    ],
)
def test_a_wrong_list_of_names_is_refused(tmp_path, text, message):
    path = tmp_path / "forget.txt"
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        forget_split(4, None, 0, rule="given", file=path, names=NAMES)
    assert str(caught.value).startswith(f"{path}: {message}")


def test_classes_are_forgotten_whole_and_tested_apart():
    labels = labels_of(50)
    found = forget_split(labels, None, 0, rule="class", classes=[3, 1])
    assert found.forget.tolist() == [n for n in range(50) if labels[n] in (1, 3)]
    assert found.retain.tolist() == [n for n in range(50) if labels[n] in (0, 2)]
    assert found.original.tolist() == list(range(50))
    apart = forget.test_parts(np.array([0, 1, 2, 3, 0]), [3, 1])
    assert {name: part.tolist() for name, part in apart.items()} == {
        "test": [0, 2, 4],
        "forget_test": [1, 3],
    }
    alike = forget.test_parts(np.array([0, 1]), [])
    assert {name: part.tolist() for name, part in alike.items()} == {
        "test": [0, 1],
        "forget_test": [],
    }


def test_all_or_no_classes_are_refused():
    with pytest.raises(UserError, match=r"^forget.classes: retain has no image"):
        forget_split([0, 1, 1], None, 0, rule="class", classes=[0, 1])
    with pytest.raises(UserError, match=r"^forget.classes: forget has no image"):
        forget_split([0, 1, 1], None, 0, rule="class", classes=[2])
    with pytest.raises(UserError, match=r"^forget.classes: test has no image of 2, expected 1"):
        forget.test_parts(np.array([1, 1]), [1])
    with pytest.raises(UserError, match=r"^forget.classes: forget_test has no image of 2"):
        forget.test_parts(np.array([1, 1]), [0])


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan")])
@pytest.mark.parametrize("rule", ["uniform", "salun"])
def test_a_share_out_of_range_is_refused(share, rule):
    with pytest.raises(UserError) as caught:
        forget_split(labels_of(50), share, 1, rule=rule)
    assert str(caught.value) == f"forget share is {share:g}, expected above 0 and below 1"


@pytest.mark.parametrize(("share", "number"), [(0.01, 0), (0.99, 10)])
def test_too_few_images_are_refused(share, number):
    with pytest.raises(UserError) as caught:
        forget_split(10, share, 0)
    assert str(caught.value) == (
        f"forget share {share} of 10 images is {number} images, expected at least 1 to forget and "
        "1 to keep"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rule": "salum"}, "unknown rule 'salum'; did you mean 'salun'?"),
        ({"rule": "salun"}, "the rule salun needs the label of each image"),
        ({"original_seed": 1}, "original_seed 1: only the rule salun has it, not uniform"),
        ({"rule": "salun", "items": [0, 1] * 9, "seed": 0}, "seed 0: the rule salun also draws"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    settings = {"items": 20, "share": 0.1, "seed": 2} | settings
    with pytest.raises(UserError, match=message):
        forget_split(**settings)


def test_a_split_comes_back_from_its_file(tmp_path):
    found = forget_split(labels_of(60), 0.2, 2, rule="salun", original_seed=1)
    write_split(tmp_path / "split.json", found)
    again = read_split(tmp_path / "split.json", 60, 0)
    assert_same(found, again)
    assert all(part.dtype == np.int64 for part in vars(again).values())
    assert [path.name for path in tmp_path.iterdir()] == ["split.json"]


def test_a_file_has_test_images_of_forgotten_classes_only_where_there_are_any(tmp_path):
    path = tmp_path / "split.json"
    write_split(path, split())
    assert "forget_test" not in path.read_text()
    assert read_split(path, 5, 3).forget_test.tolist() == []
    write_split(path, replace(split(), forget_test=np.array([1])))
    assert read_split(path, 5, 3).forget_test.tolist() == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"forget": [0, 0]}, ": forget: index 0 is repeated (1 in all)"),
        ({"forget": [0, 5]}, ": forget: index 5 is out of range (1 in all), expected 0..4"),
        ({"forget": [0, 3]}, ": forget and retain share index 3 (1 in all)"),
        ({"forget": []}, ": forget has no image, expected at least 1 of 5"),
        ({"forget": [0.0]}, ": forget: expected a list of whole numbers"),
        ({"test": [3]}, ": test: index 3 is out of range (1 in all), expected 0..2"),
        (
            {"more": []},
            ": holds forget, retain, validation, original, test, more, expected forget, retain, "
            "validation, original, test",
        ),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, changes, message):
    path = tmp_path / "split.json"
    parts = {name: vars(split())[name].tolist() for name in FILE_PARTS}
    path.write_text(json.dumps(parts | changes))
    with pytest.raises(UserError) as caught:
        read_split(path, 5, 3)
    assert str(caught.value) == f"{path}{message}"
