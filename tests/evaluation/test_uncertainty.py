import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negmerge.evaluation.uncertainty import (
    beyond_chance,
    binomial_error,
    bootstrap_means,
    differs_over_trials,
    mcnemar,
    paired_error,
    two_sided,
)

BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


def pairs(both, first, second, neither):
    """Two models by the number of images that both, one or none of them get right."""
    return (
        [1] * (both + first) + [0] * (second + neither),
        [1] * both + [0] * first + [1] * second + [0] * neither,
    )


def generator(seed=0):
    return np.random.default_rng(seed)


def test_mcnemar_of_a_known_table():
    # 5 against 1 of 6: 2 x (1 + 6) / 64.
    assert mcnemar(*pairs(10, 5, 1, 10)) == pytest.approx(14 / 64)
    assert mcnemar(*pairs(0, 10, 0, 0)) == pytest.approx(2 / 1024)
    assert mcnemar(*pairs(7, 3, 3, 7)) == 1
    assert mcnemar(*pairs(7, 0, 0, 7)) == 1


@given(BITS)
def test_mcnemar_does_not_ask_which_comes_first_nor_for_images_on_which_both_agree(bits):
    first, second = zip(*bits, strict=True)
    p = mcnemar(first, second)
    assert 0 < p <= 1
    assert mcnemar(second, first) == p
    assert mcnemar((*first, True, False), (*second, True, False)) == p


@given(BITS)
def test_the_paired_error_is_that_of_the_mean_of_differences(bits):
    first, second = np.array(bits).T
    differences = first.astype(float) - second
    expected = differences.std() / math.sqrt(len(bits))
    assert paired_error(first, second) == pytest.approx(expected, abs=1e-12)


def test_chance():
    # 20 of 100 at a chance of 0.1 lie 0.1 / 0.03 standard errors above it.
    assert beyond_chance([0.2], [100], [0.1]) == pytest.approx(math.erfc(0.1 / 0.03 / 2**0.5))
    assert beyond_chance([0.1, 0.5], [100, 40], [0.1, 0.5]) == 1
    several = beyond_chance([0.14, 0.14], [100, 100], [0.1, 0.1])
    assert several < beyond_chance([0.14], [100], [0.1])


def test_the_bootstrap_has_the_binomial_error_and_the_mean():
    right = np.array([1] * 60 + [0] * 140)[:, None]
    drawn = bootstrap_means(right, generator(), 4000)
    assert drawn.shape == (4000, 1)
    assert drawn.mean() == pytest.approx(0.3, abs=0.002)
    assert drawn.std() == pytest.approx(binomial_error(0.3, 200), rel=0.05)


@settings(max_examples=20)
@given(BITS, st.integers(0, 9))
def test_columns_share_their_images_whatever_else_there_is(bits, seed):
    outcomes = np.array(bits, np.uint8)
    both = bootstrap_means(outcomes, generator(seed), 150)
    alone = bootstrap_means(outcomes[:, :1], generator(seed), 150)
    assert np.array_equal(both[:, :1], alone)
    assert ((both >= 0) & (both <= 1)).all()
    # A difference of a model to itself is none, however the images fall.
    same = bootstrap_means(np.repeat(outcomes[:, :1], 2, axis=1), generator(seed), 150)
    assert np.array_equal(same[:, 0], same[:, 1])


def test_two_sided():
    assert two_sided(np.ones(999)) == pytest.approx(0.002)
    assert two_sided(-np.ones(999)) == pytest.approx(0.002)
    assert two_sided(np.zeros(999)) == 1
    assert two_sided(np.linspace(-1, 1, 999)) == 1
    columns = np.stack([np.arange(-25, 974), np.arange(-4, 995)], axis=1)
    assert two_sided(columns) == pytest.approx([2 * 27 / 1000, 2 * 6 / 1000])


def test_trials():
    # t = 2 / (1 / sqrt 3), two degrees of freedom: p = 1 - t / sqrt(2 + t^2).
    t = 2 * math.sqrt(3)
    assert differs_over_trials([1, 2, 3]) == pytest.approx(1 - t / math.sqrt(2 + t * t))
    assert differs_over_trials([-1, 1]) == 1
    assert differs_over_trials([0, 0]) == 1
    assert differs_over_trials([2.5, 2.5]) == 0
    assert differs_over_trials([14, 13]) < 0.05 < differs_over_trials([4, 6])
