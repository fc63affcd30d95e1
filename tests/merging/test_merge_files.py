"""Merging files is merging states, and bad files are refused."""

from functools import partial

import pytest
import torch
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from merge_examples import bits, saved
from negmerge import __version__
from negmerge.checkpoints.states import read_metadata, read_state, read_vector
from negmerge.merging import METHODS, merge, merge_files
from negmerge.vectors import task_vector
from refusals import refused

METHOD_NAMES = ("uniform", "negmerge", "conflict")


def random_state(seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=generator).to(dtype)

    return {
        "w": draw(5, 3),
        "scale": draw(),
        "empty": draw(0, 3),
        "bn.running_mean": draw(3),
        "bn.num_batches_tracked": torch.tensor(seed),
    }


@settings(max_examples=15)
@given(
    method=st.sampled_from(METHOD_NAMES),
    count=st.integers(1, 5),
    dtype=st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
)
def test_files_give_the_bits_that_states_give(tmp_path_factory, method, count, dtype):
    folder = tmp_path_factory.mktemp("merge")
    base, finetuned = random_state(0, dtype), [random_state(1 + k, dtype) for k in range(count)]
    vectors = [task_vector(base, state) for state in finetuned]
    expected = bits(merge(method, vectors))
    assert sorted(expected) == ["empty", "scale", "w"]
    merge_files(method, saved(vectors, folder), folder / "merged")
    assert bits(read_state(folder / "merged")) == expected
    base_path, *paths = saved([base, *finetuned], folder)
    merge_files(method, paths, folder / "merged", base=base_path)
    assert bits(read_state(folder / "merged")) == expected


def test_the_report_says_what_was_merged(tmp_path):
    vectors = [{"w": torch.tensor([1.0, -1.0, 0.0])}, {"w": torch.tensor([3.0, 1.0, 2.0])}]
    paths = saved(vectors, tmp_path)
    report = merge_files("negmerge", paths, tmp_path / "merged")
    assert report == {
        "method": "negmerge",
        "options": {"operation": "mean"},
        "inputs": [
            {"name": path.name, "blake3": blake3(path.read_bytes()).hexdigest()} for path in paths
        ],
        "base": None,
        "version": __version__,
        "kept": 1,
        "numbers": 3,
        "notes": [],
    }
    assert read_metadata(tmp_path / "merged") == report


GOOD = {"a": torch.ones(3), "b": torch.zeros(2, 2)}
BAD = {
    "misshapen": (GOOD | {"b": torch.zeros(4)}, ("'b'", "[4]", "[2, 2]")),
    "missing": ({"b": torch.zeros(2, 2)}, ("'a'", "missing")),
    "extra": (GOOD | {"c": torch.ones(1)}, ("'c'", "not expected")),
    "float8": (GOOD | {"a": torch.ones(3).to(torch.float8_e4m3fn)}, ("'a'", "float8_e4m3fn")),
}


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_what_is_not_finite(tmp_path, method):
    base, *pool = [{"w": torch.randn(20, 5)} for _ in range(4)]
    pool[1]["w"][7, 2] = float("-inf")
    base_path, *paths = saved([base, *pool], tmp_path)
    for files, base in ((paths, base_path), (paths[:1], paths[1])):
        call = partial(merge_files, method, files, tmp_path / "out", base=base, block_numbers=50)
        assert refused(call) == f"{paths[1]}: tensor 'w' holds 1 NaN or infinite of 50"


@pytest.mark.parametrize("as_checkpoints", [False, True])
@pytest.mark.parametrize(("state", "parts"), BAD.values(), ids=BAD)
def test_a_bad_file_is_named(tmp_path, state, parts, as_checkpoints):
    base, good, bad = saved([{n: 2 * t for n, t in GOOD.items()}, GOOD, state], tmp_path)
    how = {"base": base if as_checkpoints else None}
    line = refused(lambda: merge_files("uniform", [good, bad], tmp_path / "out", **how))
    assert all(part in line for part in (f"{bad}: ", *parts)), line
    assert not (tmp_path / "out").exists()


def test_checkpoints_without_their_base_an_unknown_method_and_an_empty_pool(tmp_path):
    paths = saved([random_state(1), random_state(2)], tmp_path)
    for method, files, parts in (
        ("uniform", paths, (str(paths[0]), "'bn.num_batches_tracked'", "int64", "base")),
        ("negmerg", paths, ("'negmerg'", "did you mean 'negmerge'?")),
        ("negmerge", [], ("negmerge: no vectors",)),
    ):
        line = refused(partial(merge_files, method, files, tmp_path / "out"))
        assert all(part in line for part in parts), line


@settings(max_examples=15)
@given(count=st.integers(1, 9), dtype=st.sampled_from([torch.float32, torch.float64]))
def test_a_sum_is_searched_in_units_of_the_mean_and_so_ties(tmp_path_factory, count, dtype):
    folder = tmp_path_factory.mktemp("merge")
    paths = saved([{"w": random_state(k, dtype)["w"]} for k in range(count)], folder)
    for operation in ("mean", "sum"):
        merge_files("negmerge", paths, folder / operation, operation=operation)
    assert read_metadata(folder / "sum").get("times", 1) == count
    total, mean = read_state(folder / "sum")["w"], read_vector(folder / "mean")["w"]
    assert torch.equal(read_vector(folder / "sum")["w"], mean)
    torch.testing.assert_close(total, count * mean)
