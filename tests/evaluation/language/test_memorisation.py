import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.evaluation.language import exact_memorisation, extraction_strength, rouge_recall

TOKENS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12)


@pytest.mark.parametrize(
    ("predicted", "labels", "exact", "strength"),
    [
        ([], [], None, 0.0),
        ([5], [5], 1.0, 1.0),
        ([4], [5], 0.0, 1.0),  # the floor, 1 / n
        ([1, 2, 3, 4], [1, 2, 3, 4], 1.0, 1.0),
        ([0, 2, 3, 4], [1, 2, 3, 4], 0.75, 0.75),
        ([1, 2, 3, 0], [1, 2, 3, 4], 0.75, 0.25),
        ([0, 0, 0, 0], [1, 2, 3, 4], 0.0, 0.25),
        ([1, 0, 3, 4], [1, 2, 3, 4], 0.75, 0.5),
    ],
)
def test_memorisation_of_small_answers(predicted, labels, exact, strength):
    assert exact_memorisation(predicted, labels) == exact
    assert extraction_strength(np.array(predicted), np.array(labels)) == strength


@given(TOKENS)
def test_strength_is_that_of_the_loop_over_suffixes(pairs):
    predicted, labels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    n, expected = len(labels), 0.0
    for k in range(n):
        expected = 1 - k / n
        if predicted[k:] == labels[k:]:
            break
    assert extraction_strength(predicted, labels) == expected
    assert not n or extraction_strength(predicted, labels) > 0.999 / n


@pytest.mark.parametrize("metric", [exact_memorisation, extraction_strength])
def test_unlike_many_tokens_are_refused(metric):
    with pytest.raises(UserError, match=r"predicted tokens \[2\] and true ones \[3\]"):
        metric([1, 2], [1, 2, 3])


def test_rouge_needs_a_text_for_each_truth():
    with pytest.raises(UserError, match=r"^ROUGE: 1 texts, expected 2, one for each truth$"):
        rouge_recall(["a", "b"], ["a"])


def test_without_rouge_score_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(UserError, match=r"^ROUGE needs the package rouge-score: pip install"):
        rouge_recall(["a"], ["a"])
