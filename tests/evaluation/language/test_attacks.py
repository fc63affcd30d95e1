import math
import zlib

import pytest

from negmerge.errors import NotFinite, UserError
from negmerge.evaluation.language import (
    membership_auc,
    min_k_scores,
    reference_scores,
    zlib_scores,
)


def test_zlib_divides_by_the_bytes_of_the_compressed_text():
    texts = ["aaaaaaaaaaaaaaaaaaaa", "", "Zoë"]
    sizes = [len(zlib.compress(text.encode("utf-8"))) for text in texts]
    assert zlib_scores([1.0, 2.0, 3.0], texts) == pytest.approx(
        [1 / sizes[0], 2 / sizes[1], 3 / sizes[2]]
    )


def test_the_reference_is_subtracted():
    assert reference_scores([1.0, 2.0], [0.5, 3.0]).tolist() == [0.5, -1]


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
