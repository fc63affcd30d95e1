import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from negmerge.evaluation import svc_membership
from negmerge.evaluation.membership import (
    FEATURES,
    features,
    membership_verdicts,
    percent,
    to_learn_from,
)
from refusals import refused

PARTS = ("shadow_train", "shadow_test", "target_test")
# The official name is the wrong formula's.
OFFICIAL = {name: name for name in ("confidence", "correctness", "entropy", "prob")} | {
    "m_entropy_official": "m_entropy"
}


@pytest.fixture(scope="module")
def file(golden):
    return golden("mia_svc_c10_n200")


@pytest.fixture(scope="module")
def outputs(file):
    return [(file[f"{part}/logits"], file[f"{part}/labels"]) for part in PARTS]


@pytest.fixture(scope="module")
def attack(outputs):
    return {name: percent(unseen) for name, unseen in membership_verdicts(*outputs).items()}


def test_features_are_the_official_ones(file, outputs):
    for part, one in zip(PARTS, outputs, strict=True):
        result = features(*one)
        assert tuple(result) == FEATURES
        assert all(values.dtype == np.float64 for values in result.values())
        for name in ("confidence", "correctness", "entropy", "m_entropy_official"):
            # The official code computes in float32.
            expected = file[f"{part}/{name}"].reshape(-1)
            np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(result["prob"].sum(axis=1), 1)


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_attack_is_the_official_one(file, attack, name):
    assert attack[name] == pytest.approx(100 * file[f"result/{OFFICIAL[name]}"], abs=1e-9)


def test_the_attack_by_confidence_alone_is_the_reported_value(file, attack):
    confidences = [file[f"{part}/confidence"] for part in PARTS]
    assert svc_membership(*confidences) == attack["confidence"] == 63.75
    flat = [torch.from_numpy(values).flatten() for values in confidences]
    percent = svc_membership(*flat)
    assert isinstance(percent, float)
    assert percent == attack["confidence"]


def test_the_modified_entropy_is_that_of_its_authors(outputs):
    logits, labels = outputs[2]
    prob = torch.softmax(torch.from_numpy(logits).double(), dim=1)
    for row, label, result in zip(prob, labels, features(logits, labels)["m_entropy"], strict=True):
        expected = -(1 - row[label]) * row[label].log()
        for number, p in enumerate(row):
            if number != label:
                expected = expected - p * (1 - p).log()
        assert result == pytest.approx(float(expected), rel=1e-9)


@given(arrays(np.float32, (5, 4), elements=st.floats(-1e4, 1e4, width=32)), st.integers(0, 3))
def test_features_are_finite_and_in_their_ranges(logits, label):
    result = features(logits, np.full(5, label))
    assert all(np.isfinite(values).all() for values in result.values())
    assert (result["m_entropy"] >= 0).all()
    assert (result["entropy"] <= np.log(4) + 1e-9).all()
    assert ((result["confidence"] >= 0) & (result["confidence"] <= 1)).all()


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 5))
def test_it_learns_from_as_many_members_as_non_members(retain, test, seed):
    places = [np.arange(retain)], [np.arange(test)]
    (members,), (others,) = to_learn_from(*places, seed)
    assert members.tolist() == list(range(min(retain, test)))
    assert len(set(others.tolist())) == len(others) == len(members)
    assert others.tolist() == sorted(others)
    assert set(others.tolist()) <= set(range(test))
    if retain >= test:
        assert others.tolist() == list(range(test))


def test_where_test_images_must_be_left_out_it_is_the_attack_on_the_drawn_ones(outputs):
    (logits, labels), test, forget = outputs
    few = (logits[:90], labels[:90])
    parts = (*to_learn_from(few, test, 3), forget)
    expected = svc_membership(*(features(*part)["confidence"] for part in parts))
    attacks = (membership_verdicts(few, test, forget, ["confidence"], seed) for seed in range(8))
    success = [percent(verdicts["confidence"]) for verdicts in attacks]
    assert success[3] == expected
    assert len(set(success)) > 1


LABELS = np.zeros(3, int)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: features([[0, 1], [np.nan, 1]], LABELS[:2]), "logits hold 1 NaN .* of 4"),
        (lambda: features(np.zeros((3, 2)), LABELS[:2]), r"logits \[3, 2\] and int64 labels \[2\]"),
        (lambda: svc_membership([0.9], [0.1], []), "no forget, expected at least 1 image"),
        (lambda: svc_membership([0.9, np.inf], [0.1], [0.5]), "members hold 1 NaN .* of 2"),
    ],
)
def test_what_cannot_be_attacked_is_refused(call, line):
    assert re.search(line, refused(call))
