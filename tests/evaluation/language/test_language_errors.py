import numpy as np
import pytest

from negmerge.evaluation.language import (
    membership_auc,
    membership_auc_error,
    model_utility,
    privleak_error,
    utility_error,
)


def draws(shape, seed=0):
    return np.random.default_rng(seed).beta(3, 2, size=shape)


def test_the_error_of_utility_is_its_spread_over_other_questions():
    sizes = (60, 40, 50)
    found = [
        model_utility(np.concatenate([draws((n, 3), (seed, n)).mean(axis=0) for n in sizes]))
        for seed in range(300)
    ]
    sets = [draws((n, 3), (1000, n)) for n in sizes]
    assert utility_error(sets) == pytest.approx(np.std(found), rel=0.25)
    assert utility_error(sets) == utility_error(sets)


def test_the_error_of_an_area_is_its_spread_over_other_answers():
    def sample(seed):
        rng = np.random.default_rng(seed)
        return rng.normal(0, 1, 60), rng.normal(0.7, 1.5, 45)

    areas = [membership_auc(*sample(seed)) for seed in range(500)]
    errors = [membership_auc_error(*sample(seed)) for seed in range(50)]
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.1)


def attacked(sizes=(14, 11)):
    """Scores of an unlearned model and of its reference, alike on each question; some are equal."""
    found = []
    for number, n in enumerate(sizes):
        rng = np.random.default_rng(number)
        known = rng.normal(0.4 * number, 1, n)
        found.append((known, known + rng.normal(0.5, 0.3, n)))
    return [tuple(scores.round(1) for scores in model) for model in zip(*found, strict=True)]


def test_the_error_of_privleak_is_that_of_a_plain_loop_over_drawn_questions():
    both, resamples = attacked(), 300
    rng = np.random.default_rng(0)
    drawn = [[rng.integers(n, size=n) for _ in range(resamples)] for n in (14, 11)]
    found = []
    for places in zip(*drawn, strict=True):
        areas = []
        for model in both:
            old, new = (
                [scores[one] for one in own] for scores, own in zip(model, places, strict=True)
            )
            pairs = [(a > b) + (a == b) / 2 for a in new for b in old]
            areas.append(sum(pairs) / len(pairs))
        found.append(100 * (areas[1] - areas[0]) / (1 - areas[1]))
    assert privleak_error(*both, resamples) == pytest.approx(np.std(found, ddof=1), rel=1e-6)


def test_privleak_of_the_reference_itself_has_no_error_and_an_undefined_one_has_none():
    reference, _ = attacked((60, 45))
    assert privleak_error(reference, reference) == 0
    apart = tuple(scores + shift for scores, shift in zip(reference, (0, 99), strict=True))
    assert np.isnan(privleak_error(reference, apart))
