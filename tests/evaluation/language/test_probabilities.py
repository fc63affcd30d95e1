import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.language import (
    answer_probability,
    model_utility,
    normalised_probability,
    truth_ratio,
    truth_ratios,
    truthfulness,
)

LOSSES = st.lists(st.floats(0, 50), min_size=1, max_size=9)
RATIOS = st.lists(st.floats(0, 1e12), min_size=1, max_size=9)


@given(LOSSES)
def test_a_probability_is_the_geometric_mean_over_tokens(tokens):
    loss = np.mean(tokens)
    found = answer_probability([loss])[0]
    assert found == pytest.approx(math.exp(-sum(tokens)) ** (1 / len(tokens)), rel=1e-6)
    assert 0 < found <= 1


def test_an_impossible_answer_has_no_probability():
    assert answer_probability([math.inf, 0.0]).tolist() == [0, 1]
    assert normalised_probability([math.inf], [[math.inf, math.inf]]).tolist() == [0]
    assert normalised_probability([0.0], [[math.inf]])[0] == pytest.approx(
        1 / (1 + 1e-10), rel=1e-14
    )


def test_wrong_answers_may_be_unlike_many():
    found = normalised_probability([math.log(2), 0.0], [[math.log(4)], [0.0, 0.0, 0.0]])
    assert found == pytest.approx([2 / 3, 1 / 4])


@given(LOSSES, st.lists(st.floats(0, 50), min_size=1, max_size=5))
def test_a_normalised_probability_is_a_share(losses, wrong):
    found = normalised_probability(losses, [wrong] * len(losses))
    assert ((found >= 0) & (found <= 1)).all()
    assert found.shape == (len(losses),)


def test_a_truth_ratio_has_the_geometric_mean_of_the_wrong_answers():
    wrong = np.array([0.5, 0.125])  # its geometric mean is 1/4, its arithmetic mean 5/16
    found = truth_ratios([math.log(2)], -np.log(wrong)[None])
    assert found == pytest.approx([0.5], rel=1e-9)
    arithmetic = -math.log(wrong.mean())
    assert truth_ratios([math.log(2)], [[arithmetic]])[0] == pytest.approx(0.625, rel=1e-9)


def test_the_truth_ratio_of_a_collapsed_model_is_near_0():
    found = truth_ratios([800.0, math.inf], [[900.0, 850.0], [math.inf]])
    assert found.tolist() == [0, 0]
    assert truth_ratio(found, "forget") == 0
    assert truth_ratio(found, "retain") == 1
    # Where only the right answer is impossible, the ratio is large but a number.
    assert truth_ratios([800.0], [[0.0]])[0] == pytest.approx(1e10)


def test_both_kinds_of_truth_ratio():
    ratios = [0.0, 0.5, 1.0, 4.0]
    assert truthfulness(ratios, "forget") == pytest.approx([0, 0.5, 1, 0.25], rel=1e-9)
    assert truthfulness(ratios, "retain").tolist() == [1, 0.5, 0, 0]
    assert truth_ratio(ratios, "forget") == pytest.approx(1.75 / 4, rel=1e-9)
    assert truth_ratio(ratios, "retain") == 1.5 / 4


@given(RATIOS, st.sampled_from(["forget", "retain"]))
def test_a_truth_ratio_is_a_share_and_the_order_does_not_matter(ratios, kind):
    found = truth_ratio(ratios, kind)
    assert 0 <= found <= 1
    assert truth_ratio(ratios[::-1], kind) == pytest.approx(found, rel=1e-12)


@given(st.lists(st.floats(1e-3, 1), min_size=1, max_size=9))
def test_utility_is_a_harmonic_mean(parts):
    found = model_utility(parts)
    assert found == pytest.approx(len(parts) / sum(1 / part for part in parts), rel=1e-9)
    assert min(parts) * (1 - 1e-12) <= found <= np.mean(parts) * (1 + 1e-12)


def test_one_part_of_0_makes_utility_0():
    assert model_utility([1.0] * 8 + [0.0]) == 0
    assert model_utility(np.full(9, 0.25)) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: answer_probability([1.0, math.nan]), "losses of answers: 1 of 2 are NaN"),
        (lambda: truth_ratios([math.nan], [[1.0]]), "losses of paraphrased answers: 1 of 1"),
        (lambda: truth_ratios([1.0], [[1.0, math.nan]]), "losses of perturbed answers: 1 of 2"),
        (lambda: truth_ratio([math.nan], "forget"), "truth ratios: 1 of 1 are NaN"),
        (lambda: model_utility([0.5, math.nan]), "parts of model utility: 1 of 2 are NaN"),
    ],
)
def test_what_is_no_number_is_refused(call, message):
    with pytest.raises(NotFinite, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: truth_ratios([1.0, 2.0], [[1.0]]),
            "losses of perturbed answers: 1 items, expected 2",
        ),
        (lambda: truth_ratios([1.0], [[]]), r"perturbed answers: item 0 has shape \[0\]"),
        (lambda: normalised_probability([1.0], [1.0]), r"wrong answers: item 0 has shape \[\]"),
        (lambda: truth_ratio([], "forget"), "truth ratios: no items, expected at least 1"),
        (lambda: truth_ratio([1.0], "retian"), "retain"),
        (lambda: model_utility([]), r"model utility of \[\], expected at least 1 part"),
        (lambda: model_utility([0.5, -0.1]), r"model utility of \[0.5, -0.1\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
