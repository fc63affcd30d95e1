"""DARE against the official code, and what its random choice must not depend on."""

import numpy as np
import pytest
import torch

from merge_examples import assert_equal, bits, random_pool, rows, saved
from negmerge.checkpoints.states import read_state
from negmerge.merging import merge, merge_files
from negmerge.merging.methods.dare import CHUNK

MAGNITUDE = {"by": "magnitude"}


def dare(*vectors, **options):
    return merge("dare", rows(*vectors), **options)["w"]


@pytest.mark.parametrize("drop", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("rescale", "number"), [(True, 1), (False, 0)])
def test_dropping_by_magnitude_is_the_official_one(golden, drop, rescale, number):
    file = golden("dare_6x10")
    merged = dare(file["x"], drop=drop, by="magnitude", rescale=rescale)
    assert np.array_equal(merged.numpy(), file[f"magnitude_{drop}_rescale{number}"])


@pytest.mark.parametrize("drop", [0.2, 0.5, 0.9])
def test_what_a_random_choice_leaves_is_scaled_as_officially(golden, drop):
    """Which numbers stay depends on the generator, and is another choice here."""
    file = golden("dare_6x10")
    official, merged = file[f"random_{drop}_rescale1_seed0"], dare(file["x"], drop=drop).numpy()
    for found in (official, merged):
        kept = found != 0
        assert 0 < kept.sum() < 60
        assert np.array_equal(found[kept], (file["x"] / np.float32(1 - drop))[kept])
    plain = dare(file["x"], drop=drop, rescale=False).numpy()
    assert np.array_equal(plain, file["x"] * (merged != 0))


def test_magnitudes_are_ranked_in_each_tensor_and_equal_ones_go_together():
    assert dare([1.0, -1, 1, 4], drop=0.25, rescale=False, **MAGNITUDE).tolist() == [0, 0, 0, 4]
    pool = [{"small": torch.tensor([1e-3, 1e-4]), "large": torch.tensor([5.0, 50.0])}]
    merged = merge("dare", pool, drop=0.5, rescale=False, **MAGNITUDE)
    assert_equal(merged, {"small": torch.tensor([1e-3, 0]), "large": torch.tensor([0, 50.0])})


def choice(state, **options):
    """Where one model's numbers stay."""
    return {name: tensor != 0 for name, tensor in merge("dare", [state], **options).items()}


BIG = {"a": torch.ones(3, 50_000), "b": torch.ones(150_000)}


def test_the_share_is_dropped_and_the_mean_kept():
    merged = merge("dare", [BIG], drop=0.9)
    for tensor in merged.values():
        assert (tensor == 0).double().mean().item() == pytest.approx(0.9, abs=0.005)
        assert tensor.double().mean().item() == pytest.approx(1, abs=0.05)


def test_the_choice_depends_on_seed_vector_tensor_and_chunk():
    first, other = choice(BIG, seed=1), choice(BIG, seed=2)
    assert not torch.equal(first["b"], other["b"])
    assert not torch.equal(first["a"].reshape(-1), first["b"])
    both = merge("dare", [BIG, BIG], seed=1, rescale=False, drop=0.5)["b"]
    assert set(both.unique().tolist()) == {0, 0.5, 1}  # not the same numbers of each
    assert not torch.equal(first["b"][: CHUNK // 2], first["b"][CHUNK : CHUNK + CHUNK // 2])


def test_the_choice_stays_the_same_from_release_to_release():
    """A changed choice would change results that a study has already stored."""
    kept = choice({"w": torch.ones(40)}, drop=0.5, seed=0)["w"]
    assert "".join(str(int(k)) for k in kept) == "0001111001110111110101110010010111001101"


@pytest.mark.parametrize("options", [{"seed": 3}, {"drop": 0.4, **MAGNITUDE}])
def test_blocks_files_and_threads_change_no_bit(tmp_path, options):
    pool = [vector | {"big": BIG["a"] * (1 + k)} for k, vector in enumerate(random_pool(5, 3))]
    expected = bits(merge("dare", pool, **options))
    paths = saved(pool, tmp_path)
    for settings in ({}, {"threads": 2, "block_numbers": 50_000}):
        merge_files("dare", paths, tmp_path / "out", **settings, **options)
        assert bits(read_state(tmp_path / "out")) == expected
