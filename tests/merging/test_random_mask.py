"""A random mask of NegMerge's sparsity: exactly as many numbers, others, and always the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import assert_equal, pools, rows
from negmerge.merging import merge

SEEDS = st.integers(0, 2**31 - 1)


def models(seed, count, *shape):
    """Vectors of one tensor that agree in part, with some zeros."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(shape, generator=generator)
    drawn = [common + torch.randn(shape, generator=generator) for _ in range(count)]
    return [{"w": vector.where(vector.abs() > 0.05, 0.0)} for vector in drawn]


@given(pools(), SEEDS)
def test_each_tensor_keeps_as_many_numbers_of_the_mean_as_negmerge(pool, seed):
    merged, uniform = merge("random-mask", pool, seed=seed), merge("uniform", pool)
    for name, tensor in merge("negmerge", pool).items():
        assert merged[name].count_nonzero() == tensor.count_nonzero()
        kept = merged[name] != 0
        assert torch.equal(merged[name][kept], uniform[name][kept])
        assert not torch.signbit(merged[name][~kept]).any()


def test_which_numbers_are_kept_has_nothing_to_do_with_agreement():
    pool = models(1, 3, 300, 1000)
    agree, changed = merge("negmerge", pool)["w"] != 0, merge("uniform", pool)["w"] != 0
    share = (agree.sum() / changed.sum()).item()
    for seed in range(3):
        kept = merge("random-mask", pool, seed=seed)["w"] != 0
        assert kept.sum() == agree.sum()
        # Of the agreeing ones the same share as of all; five standard errors are 0.005.
        assert (kept & agree).sum().item() / agree.sum().item() == pytest.approx(share, abs=0.005)
        for part in (kept[:150], kept[150:], kept[:, ::2], kept[::2]):
            assert part.double().mean().item() == pytest.approx(kept.double().mean(), abs=0.007)


def test_frozen_tensors_and_numbers_that_no_model_changes_are_not_drawn():
    first = {"frozen": torch.zeros(9), "w": torch.tensor([1.0, 2, 0, 0, 0, 0, 0, -1, 5])}
    second = {"frozen": torch.zeros(9), "w": torch.tensor([1.0, 1, 0, 0, 0, 0, 0, -2, -5])}
    # Three agree; of +5 and -5 the mean is 0, so those three are all that can be drawn.
    for seed in range(20):
        merged = merge("random-mask", [first, second], seed=seed)
        assert_equal(merged, merge("negmerge", [first, second]))


@pytest.mark.parametrize(
    ("agreeing", "places"), [(4, [1, 3, 5, 8]), (8, [0, 1, 3, 5, 6, 7, 8, 11])]
)
def test_the_choice_stays_the_same_from_release_to_release(agreeing, places):
    """A changed choice would change results that a study has already stored."""
    pool = rows([1.0] * 12, [2.0] * agreeing + [-3.0] * (12 - agreeing))
    assert merge("random-mask", pool, seed=0)["w"].nonzero().flatten().tolist() == places
