"""Each metric against its formula, written with loops and without numpy or scipy."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.evaluation.language import (
    exact_memorisation,
    forget_quality,
    membership_auc,
    membership_auc_error,
    min_k_plus_plus_scores,
    min_k_scores,
    model_utility,
    normalised_probability,
    privleak,
    rouge_recall,
    truth_ratio,
    truth_ratios,
    truthfulness,
)

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
    for answer, found in zip(answers, min_k_scores(answers, share), strict=True):
        count = max(1, math.floor(share * len(answer)))
        expected = -math.fsum(sorted(answer)[:count]) / count if answer else 0
        assert found == pytest.approx(expected, rel=1e-12)


TOKEN = st.tuples(st.floats(-30, 0), st.floats(-30, 0), st.one_of(st.just(0.0), st.floats(0, 50)))


@given(st.lists(TOKEN, min_size=1, max_size=12), SHARE)
def test_the_lowest_of_scaled_tokens(tokens, share):
    scaled = sorted((p - mean) / math.sqrt(max(v, 1e-6)) for p, mean, v in tokens)
    count = max(1, math.floor(share * len(tokens)))
    log_probs, means, variances = zip(*tokens, strict=True)
    (found,) = min_k_plus_plus_scores([log_probs], [means], [variances], share)
    assert found == pytest.approx(-math.fsum(scaled[:count]) / count, rel=1e-9, abs=1e-9)


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
    found = privleak(auc, reference)
    assert found == pytest.approx(100 * (reference - auc) / (1 - reference), rel=1e-6, abs=1e-9)


@given(st.lists(st.integers(0, 20).map(lambda n: n / 20), min_size=1, max_size=9))
def test_utility(parts):
    exact = [Fraction(part) for part in parts]
    expected = 0 if 0 in exact else len(exact) / sum(1 / part for part in exact)
    assert model_utility(parts) == pytest.approx(float(expected), rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=9))
def test_exact_memorisation(pairs):
    right = sum(one == other for one, other in pairs)
    assert exact_memorisation(*zip(*pairs, strict=True)) == right / len(pairs)


def longest_common(one, other):
    if not one or not other:
        return 0
    if one[0] == other[0]:
        return 1 + longest_common(one[1:], other[1:])
    return max(longest_common(one[1:], other), longest_common(one, other[1:]))


@given(WORDS, WORDS)
def test_rouge_recall(truth, text):
    pytest.importorskip("rouge_score")
    (found,) = rouge_recall([" ".join(truth)], [" ".join(text)])
    assert found == longest_common(truth, text) / len(truth)
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
        one = list(range(n))
        p, distance = forget_quality(one, [x + steps - 0.5 for x in one])
        assert distance == pytest.approx(steps / n, rel=1e-12)
        assert p == pytest.approx(float(share_as_far_apart(n, n, steps * n)), rel=1e-6)
