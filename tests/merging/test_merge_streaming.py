"""Blocks, files and threads change no bit of any merge."""

import pytest
import torch
from merge_examples import bits, random_pool
from safetensors.torch import save_file

from negmerge.merging import METHODS, merge, merge_files
from negmerge.states import read_state

SETTINGS = [
    *((name, {}) for name in METHODS),
    *(("negmerge", {"operation": name}) for name in ("sum", "largest", "smallest", "median")),
    *(("ties", {"density": 0.5, "reduce": name}) for name in ("mean", "sum", "max")),
    ("ties", {"density": 1}),
    ("relaxed", {"agreement": 0.5}),
    ("pcb", {"ratio": 0.4, "clip": 0.05}),
]


def mixed(pool):
    """One tensor in float64 among float32 ones."""
    return [vector | {"b": vector["b"].double() / 3} for vector in pool]


@pytest.mark.parametrize("kind", ["float32", "mixed"])
@pytest.mark.parametrize(("method", "options"), SETTINGS)
def test_no_bit_depends_on_blocks_files_or_threads(tmp_path, method, options, kind):
    pool = random_pool(7, 5)
    if kind == "mixed":
        pool = mixed(pool)
    expected = bits(merge(method, pool, **options))
    assert any(merged.any() for merged in merge(method, pool, **options).values())
    for block_numbers in (1, 7, 100):
        assert bits(merge(method, pool, block_numbers=block_numbers, **options)) == expected
    paths = [tmp_path / f"{number}.safetensors" for number in range(len(pool))]
    for path, vector in zip(paths, pool, strict=True):
        save_file(vector, path)
    for settings in ({}, {"block_numbers": 7}, {"block_numbers": 7, "threads": 2}):
        merge_files(method, paths, tmp_path / "merged", **settings, **options)
        assert bits(read_state(tmp_path / "merged")) == expected


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_numbers_is_merged(method):
    empty = {"w": torch.zeros(0, 3)}
    assert bits(merge(method, [empty, empty])) == bits(empty)
