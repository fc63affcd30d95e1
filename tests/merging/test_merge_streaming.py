"""Blocks, files and threads change no bit of any merge."""

import pytest
import torch
from safetensors.torch import save_file

from merge_examples import SETTINGS, bits, mixed, random_pool, saved
from negmerge.checkpoints.states import read_state
from negmerge.errors import UserError
from negmerge.merging import METHODS, merge, merge_files


@pytest.mark.parametrize("kind", ["float32", "mixed"])
@pytest.mark.parametrize(("method", "options"), SETTINGS)
def test_no_bit_depends_on_blocks_files_or_threads(tmp_path, method, options, kind):
    pool = random_pool(7, 5)
    if kind == "mixed":
        pool = mixed(pool)
    expected = bits(merge(method, pool, **options))
    assert any(merged.any() for merged in merge(method, pool, **options).values())
    assert bits(merge(method, pool, block_numbers=7, **options)) == expected
    paths = saved(pool, tmp_path)
    for settings in ({}, {"block_numbers": 7, "threads": 2}):
        merge_files(method, paths, tmp_path / "merged", **settings, **options)
        assert bits(read_state(tmp_path / "merged")) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_numbers_is_merged(method):
    empty = {"w": torch.zeros(0, 3)}
    assert bits(merge(method, [empty, empty])) == bits(empty)


def test_a_mistake_in_one_block_ends_threads_and_merge(tmp_path):
    save_file({"w": torch.full((1000,), 3e38)}, tmp_path / "large")
    settings = {"threads": 3, "block_numbers": 10}
    with pytest.raises(UserError, match="Uniform Merge's result"):
        merge_files("uniform", [tmp_path / "large"] * 2, tmp_path / "merged", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["large"]
