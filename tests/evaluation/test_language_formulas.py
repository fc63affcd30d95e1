"""Metrics of language models against their formulas, written with loops, without numpy or scipy."""

import math
import re
import sys
import zlib
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.evaluation.attacks import (
    membership_auc,
    membership_auc_error,
    min_k_plus_plus_scores,
    min_k_scores,
    privleak,
    privleak_error,
    zlib_scores,
)
from negmerge.evaluation.language import (
    answer_probability,
    exact_memorisation,
    extraction_strength,
    forget_quality,
    forget_quality_at,
    model_utility,
    normalised_probability,
    rouge_recall,
    truth_ratio,
    truth_ratios,
    truthfulness,
    utility_error,
)
from refusals import refused

LOSS = st.floats(0, 40)
QUESTION = st.tuples(LOSS, st.lists(LOSS, min_size=1, max_size=5))
QUESTIONS = st.lists(QUESTION, min_size=1, max_size=6)
SHARE = st.floats(0.01, 1)
WORDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=8)
# Impossible answers, too.
SCORES = st.lists(st.sampled_from([0.0, 1.0, 2.5, math.inf]), min_size=2, max_size=8)


def geometric(losses):
    """The geometric mean of probabilities."""
    return math.prod(math.exp(-loss) ** (1 / len(losses)) for loss in losses)


@given(QUESTIONS)
def test_probabilities_and_ratios(questions):
    right, wrong = zip(*questions, strict=True)
    shares = normalised_probability(right, wrong)
    ratios = truth_ratios(right, wrong)
    for loss, others, share, ratio in zip(right, wrong, shares, ratios, strict=True):
        p, rest = math.exp(-loss), sum(math.exp(-other) for other in others)
        assert share == pytest.approx(p / (p + rest + 1e-10), rel=1e-9)
        assert ratio == pytest.approx(geometric(others) / (p + 1e-10), rel=1e-9)


@given(st.lists(st.one_of(st.floats(0, 5), st.just(math.inf)), min_size=1, max_size=9))
def test_both_means_of_ratios(ratios):
    forget = [min(r, 1 / (r + 1e-10)) for r in ratios]
    retain = [max(0.0, 1 - r) for r in ratios]
    for kind, expected in (("forget", forget), ("retain", retain)):
        assert truthfulness(ratios, kind).tolist() == pytest.approx(expected, rel=1e-12)
        assert truth_ratio(ratios, kind) == pytest.approx(math.fsum(expected) / len(ratios))


@given(st.lists(st.lists(st.floats(-30, 0), max_size=12), min_size=1, max_size=4), SHARE)
def test_the_lowest_tokens(answers, share):
    for answer, result in zip(answers, min_k_scores(answers, share), strict=True):
        count = max(1, math.floor(share * len(answer)))
        expected = -math.fsum(sorted(answer)[:count]) / count if answer else 0
        assert result == pytest.approx(expected, rel=1e-12)


TOKEN = st.tuples(st.floats(-30, 0), st.floats(-30, 0), st.one_of(st.just(0.0), st.floats(0, 50)))


@given(st.lists(TOKEN, min_size=1, max_size=12), SHARE)
def test_the_lowest_of_scaled_tokens(tokens, share):
    scaled = sorted((p - mean) / math.sqrt(max(v, 1e-6)) for p, mean, v in tokens)
    count = max(1, math.floor(share * len(tokens)))
    log_probs, means, variances = zip(*tokens, strict=True)
    (result,) = min_k_plus_plus_scores([log_probs], [means], [variances], share)
    assert result == pytest.approx(-math.fsum(scaled[:count]) / count, rel=1e-9, abs=1e-9)


def above(one, other):
    return 1.0 if one > other else 0.5 if one == other else 0.0


def variance(values):
    centre = math.fsum(values) / len(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


@given(SCORES, SCORES)
def test_the_share_of_pairs_and_its_error(forget, holdout):
    pairs = [[above(new, old) for new in holdout] for old in forget]
    rows = [math.fsum(row) / len(holdout) for row in pairs]
    columns = [math.fsum(column) / len(forget) for column in zip(*pairs, strict=True)]
    assert membership_auc(forget, holdout) == pytest.approx(math.fsum(rows) / len(rows))
    error = math.sqrt(variance(rows) / len(rows) + variance(columns) / len(columns))
    assert membership_auc_error(forget, holdout) == pytest.approx(error, abs=1e-9)


@given(st.floats(0, 1), st.floats(0, 0.99))
def test_privleak(auc, reference):
    leak = privleak(auc, reference)
    assert leak == pytest.approx(100 * (reference - auc) / (1 - reference), rel=1e-6, abs=1e-9)


@given(st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=9))
def test_utility(parts):
    exact = [Fraction(part) for part in parts]
    expected = 0 if 0 in exact else len(exact) / sum(1 / part for part in exact)
    assert model_utility(parts) == pytest.approx(float(expected), rel=1e-12)


def longest_common(one, other):
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest_common(one[1:], other[1:])
    return max(longest_common(one[1:], other), longest_common(one, other[1:]))


@given(WORDS, WORDS)
def test_rouge_recall(truth, text):
    pytest.importorskip("rouge_score")
    (recalls,) = rouge_recall([" ".join(truth)], [" ".join(text)])
    assert recalls == longest_common(truth, text) / len(truth)
    common = sum(min(truth.count(word), text.count(word)) for word in "abc")
    assert rouge_recall([" ".join(truth)], [" ".join(text)], "rouge1")[0] == common / len(truth)


def largest_difference(one, other):
    """In steps of 1 / (n m), so that it is exact."""
    n, m = len(one), len(other)
    return max(
        abs(m * sum(x <= at for x in one) - n * sum(y <= at for y in other)) for at in one + other
    )


def share_as_far_apart(n, m, steps):
    """Of all orders of n + m numbers, those in which the two samples differ by `steps` or more.

    Counted as paths from (0, 0) to (n, m) that stay where |i m - j n| < steps.
    """
    near = [[0] * (m + 1) for _ in range(n + 1)]
    near[0][0] = int(steps > 0)
    for i in range(n + 1):
        for j in range(m + 1):
            if (i or j) and abs(i * m - j * n) < steps:
                near[i][j] = (near[i - 1][j] if i else 0) + (near[i][j - 1] if j else 0)
    return 1 - Fraction(near[n][m], math.comb(n + m, n))


# Of a tiny distance between unlike many numbers scipy may find a p above 1, and take 1.
@pytest.mark.filterwarnings("ignore:ks_2samp")
@given(st.sets(st.integers(0, 60), min_size=3, max_size=22), st.data())
def test_forget_quality_counts_orders(values, data):
    order = data.draw(st.permutations(sorted(values)))
    cut = data.draw(st.integers(1, len(order) - 1))
    one, other = order[:cut], order[cut:]
    steps = largest_difference(one, other)
    p, distance = forget_quality(one, other)
    assert distance == pytest.approx(steps / (len(one) * len(other)), rel=1e-12)
    assert p == pytest.approx(float(share_as_far_apart(len(one), len(other), steps)), rel=1e-9)


def test_forget_quality_of_as_many_questions_as_tofu_asks():
    """In forget01 and forget05; the last is complete separation, which two orders have."""
    for n, steps in ((40, 9), (200, 31), (200, 200)):
        p, distance = forget_quality_at(steps, n)
        assert distance == pytest.approx(steps / n, rel=1e-12)
        assert p == pytest.approx(float(share_as_far_apart(n, n, steps * n)), rel=1e-6)


def test_an_impossible_answer_has_no_probability():
    assert answer_probability([math.inf, 0.0]).tolist() == [0, 1]
    assert normalised_probability([math.inf], [[math.inf, math.inf]]).tolist() == [0]
    assert normalised_probability([0.0], [[math.inf]])[0] == pytest.approx(
        1 / (1 + 1e-10), rel=1e-14
    )


def test_the_truth_ratio_of_a_collapsed_model_is_near_0():
    ratios = truth_ratios([800.0, math.inf], [[900.0, 850.0], [math.inf]])
    assert ratios.tolist() == [0, 0]
    assert truth_ratio(ratios, "forget") == 0
    assert truth_ratio(ratios, "retain") == 1
    # Where only the right answer is impossible, the ratio is large but a number.
    assert truth_ratios([800.0], [[0.0]])[0] == pytest.approx(1e10)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: answer_probability([1.0, math.nan]), "losses of answers: 1 of 2 are NaN"),
        (lambda: truth_ratios([1.0], [[1.0, math.nan]]), "losses of perturbed answers: 1 of 2"),
        (lambda: membership_auc([1.0, math.nan], [1.0]), "scores: 1 of 2 are NaN"),
        (lambda: truth_ratios([1.0, 2.0], [[1.0]]), "perturbed answers: 1 items, expected 2"),
        (lambda: truth_ratios([1.0], [[]]), r"perturbed answers: item 0 has shape \[0\]"),
        (lambda: truth_ratio([], "forget"), "truth ratios: no items, expected at least 1"),
        (lambda: truth_ratio([1.0], "retian"), "'retian'; did you mean 'retain'"),
        (lambda: model_utility([0.5, -0.1]), r"model utility of \[0.5, -0.1\], expected"),
        (lambda: forget_quality([1.0], []), "no truth ratios of the reference, expected"),
        (lambda: membership_auc([], [1.0]), "no scores of the forget set, expected at least 1"),
        (lambda: zlib_scores([1.0], ["a", "b"]), "zlib: 2 answers, expected 1"),
        (lambda: rouge_recall(["a", "b"], ["a"]), "ROUGE: 1 texts, expected 2"),
        (lambda: exact_memorisation([1, 2], [1]), r"predicted tokens \[2\] and true ones \[1\]"),
    ],
)
def test_what_does_not_fit_is_refused(call, line):
    assert re.search(line, refused(call))


TOKENS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), max_size=12)


@given(TOKENS)
def test_memorisation_is_that_of_loops(pairs):
    predicted, labels = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    right = [one == other for one, other in pairs]
    assert exact_memorisation(predicted, labels) == (np.mean(right) if right else None)
    n, expected = len(labels), 0.0
    for k in range(n):
        expected = 1 - k / n
        if predicted[k:] == labels[k:]:
            break
    assert extraction_strength(predicted, labels) == expected
    assert not n or extraction_strength(predicted, labels) > 0.999 / n


def test_without_rouge_score_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "rouge_score.rouge_scorer", None)
    with pytest.raises(UserError, match=r"^ROUGE needs the package rouge-score: pip install"):
        rouge_recall(["a"], ["a"])


def test_the_logarithm_of_p_is_a_number_even_where_p_is_too_small_for_one():
    ratios = np.arange(600.0)
    quality = forget_quality(ratios, ratios + 600)
    assert quality.p == 0
    assert quality.log10 == pytest.approx(-307.65, abs=0.01)
    assert forget_quality(ratios[:400], ratios[:400] + 400).log10 == pytest.approx(
        -238.97, abs=0.01
    )


def test_zlib_divides_by_the_bytes_of_the_compressed_text():
    texts = ["aaaaaaaaaaaaaaaaaaaa", "", "Zoë"]
    sizes = [len(zlib.compress(text.encode("utf-8"))) for text in texts]
    assert zlib_scores([1.0, 2.0, 3.0], texts) == pytest.approx(
        [1 / sizes[0], 2 / sizes[1], 3 / sizes[2]]
    )


def draws(shape, seed=0):
    return np.random.default_rng(seed).beta(3, 2, size=shape)


def test_the_error_of_utility_is_its_spread_over_other_questions():
    sizes = (60, 40, 50)
    result = [
        model_utility(np.concatenate([draws((n, 3), (seed, n)).mean(axis=0) for n in sizes]))
        for seed in range(300)
    ]
    sets = [draws((n, 3), (1000, n)) for n in sizes]
    assert utility_error(sets) == pytest.approx(np.std(result), rel=0.25)
    assert utility_error(sets) == utility_error(sets)


def attacked(sizes=(14, 11)):
    """Scores of an unlearned model and of its reference, alike on each question; some are equal."""
    result = []
    for number, n in enumerate(sizes):
        rng = np.random.default_rng(number)
        known = rng.normal(0.4 * number, 1, n)
        result.append((known, known + rng.normal(0.5, 0.3, n)))
    return [tuple(scores.round(1) for scores in model) for model in zip(*result, strict=True)]


def test_the_error_of_privleak_is_that_of_a_plain_loop_over_drawn_questions():
    both, resamples = attacked(), 300
    rng = np.random.default_rng(0)
    drawn = [[rng.integers(n, size=n) for _ in range(resamples)] for n in (14, 11)]
    result = []
    for places in zip(*drawn, strict=True):
        areas = []
        for model in both:
            old, new = (
                [scores[one] for one in own] for scores, own in zip(model, places, strict=True)
            )
            pairs = [(a > b) + (a == b) / 2 for a in new for b in old]
            areas.append(sum(pairs) / len(pairs))
        result.append(100 * (areas[1] - areas[0]) / (1 - areas[1]))
    assert privleak_error(*both, resamples) == pytest.approx(np.std(result, ddof=1), rel=1e-6)


def test_privleak_of_the_reference_itself_has_no_error_and_an_undefined_one_has_none():
    reference, _ = attacked((60, 45))
    assert privleak_error(reference, reference) == 0
    apart = tuple(scores + shift for scores, shift in zip(reference, (0, 99), strict=True))
    assert np.isnan(privleak_error(reference, apart))
