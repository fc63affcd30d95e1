import math

import numpy as np
import pytest

from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.language import (
    answer_probability,
    model_utility,
    normalised_probability,
    truth_ratio,
    truth_ratios,
)


def test_an_impossible_answer_has_no_probability():
    assert answer_probability([math.inf, 0.0]).tolist() == [0, 1]
    assert normalised_probability([math.inf], [[math.inf, math.inf]]).tolist() == [0]
    assert normalised_probability([0.0], [[math.inf]])[0] == pytest.approx(
        1 / (1 + 1e-10), rel=1e-14
    )


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
