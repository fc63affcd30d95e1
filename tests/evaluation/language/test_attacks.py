import math
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.language import (
    membership_auc,
    min_k_plus_plus_scores,
    min_k_scores,
    privleak,
    reference_scores,
    zlib_scores,
)

SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_the_area_is_that_of_scikit_learn_ties_included(forget, holdout):
    labels = [0] * len(forget) + [1] * len(holdout)
    expected = roc_auc_score(labels, forget + holdout)
    assert membership_auc(forget, holdout) == pytest.approx(expected, abs=1e-12)
    assert membership_auc(holdout, forget) == pytest.approx(1 - expected, abs=1e-12)


def test_the_area_is_1_where_all_forgotten_answers_look_seen():
    assert membership_auc([0.1, 0.2], [0.3, 3.0, 9.0]) == 1
    assert membership_auc([1.0, 1.0], [1.0]) == 0.5


def test_zlib_divides_by_the_bytes_of_the_compressed_text():
    texts = ["aaaaaaaaaaaaaaaaaaaa", "", "Zoë"]
    sizes = [len(zlib.compress(text.encode("utf-8"))) for text in texts]
    assert zlib_scores([1.0, 2.0, 3.0], texts) == pytest.approx(
        [1 / sizes[0], 2 / sizes[1], 3 / sizes[2]]
    )


@pytest.mark.parametrize(("n", "counted"), [(1, 1), (2, 1), (4, 1), (5, 2), (9, 3), (10, 4)])
def test_min_k_averages_the_lowest_tokens(n, counted):
    values = -np.arange(1.0, n + 1)
    expected = sum(range(n, n - counted, -1)) / counted
    rng = np.random.default_rng(0)
    assert min_k_scores([rng.permutation(values)]) == pytest.approx([expected])


def test_an_answer_without_tokens_scores_0():
    assert min_k_scores([[], [-2.0]]).tolist() == [0, 2]
    assert min_k_plus_plus_scores([[]], [[]], [[]]).tolist() == [0]


def test_min_k_plus_plus_scales_each_token_and_bounds_the_variance():
    found = min_k_plus_plus_scores(
        [[-1.0, -4.0], [-1.0]], [[-3.0, -2.0], [-1.001]], [[4.0, 1.0], [0.0]], share=0.5
    )
    assert found == pytest.approx([2.0, -0.001 / math.sqrt(1e-6)])


@given(st.lists(st.floats(-30, 0), min_size=1, max_size=20), st.floats(0, 1))
def test_min_k_lies_between_the_loss_and_the_worst_token(values, share):
    found = min_k_scores([values], share)[0]
    assert -np.mean(values) - 1e-9 <= found <= -min(values) + 1e-9


def test_the_reference_is_subtracted():
    assert reference_scores([1.0, 2.0], [0.5, 3.0]).tolist() == [0.5, -1]


def test_privleak():
    assert privleak(0.4, 0.4) == 0
    # Still remembered: far below 0; over-forgotten: far above 0.
    assert privleak(1.0) == pytest.approx(-100, rel=1e-9)
    assert privleak(0.0) == pytest.approx(100, rel=1e-9)
    assert privleak(0.00002, 0.981) == pytest.approx(100 * 0.98098 / 0.019, rel=1e-6)
    assert math.isfinite(privleak(0.3, 1.0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: membership_auc([], [1.0]), "no scores of the forget set, expected at least 1"),
        (lambda: membership_auc([1.0], []), "no scores of the holdout set"),
        (lambda: zlib_scores([1.0], ["a", "b"]), "attack zlib: 2 answers, expected 1"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(UserError, match=message):
        call()


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(NotFinite, match=r"^scores: 1 of 2 are NaN"):
        membership_auc([1.0, math.nan], [1.0])
    with pytest.raises(NotFinite, match=r"^log-probabilities: 1 of 1 are NaN"):
        min_k_scores([[math.nan]])
