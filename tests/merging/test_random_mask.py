"""A random mask of NegMerge's sparsity: exactly as many numbers, others, and always the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from merge_examples import assert_equal, in_memory, pools
from negmerge.merging import merge
from negmerge.merging.methods.random_mask import _lots

SEEDS = st.integers(0, 2**31 - 1)


def models(seed, count, *shape):
    """Vectors of one tensor that agree in part, with some zeros."""
    generator = torch.Generator().manual_seed(seed)
    common = torch.randn(shape, generator=generator)
    drawn = [common + torch.randn(shape, generator=generator) for _ in range(count)]
    return [{"w": vector.where(vector.abs() > 0.05, 0.0)} for vector in drawn]


def lots(name, shape, seed):
    vectors = in_memory([{name: torch.zeros(shape)}])
    return torch.cat([_lots(block, seed) for block in vectors.blocks()]).view(-1)


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


@given(SEEDS, st.text(max_size=5), st.integers(1, 5000))
def test_no_two_places_of_a_tensor_get_the_same_lot(seed, name, size):
    found = lots(name, (size,), seed)
    assert len(found.unique()) == size
    assert found.min() >= 0
    assert found.max() < 2**52


def test_the_choice_stays_the_same_from_release_to_release():
    """A changed choice would change results that a study has already stored."""
    order = lots("w", (12,), 0).argsort().tolist()
    assert order == [3, 8, 5, 1, 0, 7, 11, 6, 9, 4, 10, 2]
