"""Checksums of a pool's files, whatever was read before in which order; and what was chosen."""

from dataclasses import dataclass

import pytest
import torch
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file

from negmerge.checkpoints.divergence import chosen_vectors
from negmerge.checkpoints.opening import open_state
from negmerge.files import write_json
from negmerge.merging import merge_files, pool
from negmerge.merging.pool import Checksums
from refusals import refused

STATE = {name: torch.randn(40, 5) for name in "abcd"} | {"n": torch.arange(7)}


@dataclass
class Part:
    name: str
    stop: int


@pytest.fixture
def paths(tmp_path, monkeypatch):
    monkeypatch.setattr(pool, "STRETCH", 300)
    for number in range(3):
        save_file({name: t * number for name, t in STATE.items()}, tmp_path / str(number))
    return [tmp_path / str(number) for number in range(3)]


def expected(paths):
    return {path: blake3(path.read_bytes()).hexdigest() for path in paths}


def test_any_order_of_reading_gives_the_checksums_of_the_files(paths):
    parts = st.builds(Part, st.sampled_from("abcd"), st.integers(0, 200))

    @given(st.lists(parts, max_size=30))
    def check(parts):
        found = Checksums(map(open_state, paths))
        for part in parts:
            found.follow(part)
        assert found.known() == expected(paths)

    check()


def test_a_merge_may_do_without(paths):
    base, *pool = paths
    vectors = {"base": base, "checksums": False}
    report = merge_files("uniform", pool, base.with_name("merged"), **vectors)
    assert report["base"] == [{"name": "0", "blake3": None}]
    report = merge_files("uniform", pool, base.with_name("merged"), base=base, threads=2)
    assert [one["blake3"] for one in report["inputs"]] == list(expected(pool).values())


def test_a_choice_names_a_vector_by_its_file(tmp_path):
    vectors, path = ["vectors/e8-ls0.safetensors", "vectors/e8-ls0.1.safetensors"], tmp_path / "c"
    write_json(
        path,
        [{"vector": "e8-ls0.1", "criterion": "gap"}, {"vector": "e8-ls0", "criterion": "retain"}],
    )
    assert chosen_vectors(path, vectors) == {"gap": 1, "retain": 0}
    write_json(path, [{"vector": "e8-ls", "criterion": "gap"}])
    line = refused(lambda: chosen_vectors(path, vectors))
    assert line.startswith(f"{path}: unknown vector 'e8-ls'; did you mean 'e8-ls0'? ")
