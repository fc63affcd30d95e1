"""A pool of PEFT's adapters unlearns as the same pool that PEFT has merged to whole models."""

import pytest
import torch
from model_folders import assert_same_bits, read

import negmerge
from adapter_examples import adapt, merged_by_peft
from small_language_models import language_model

peft = pytest.importorskip("peft")
POOL = {
    "plain": peft.LoraConfig(r=2, target_modules="all-linear"),
    "rank-stabilised": peft.LoraConfig(r=4, use_rslora=True, target_modules=["q_proj"]),
    "by-pattern": peft.LoraConfig(
        r=3,
        target_modules=["q_proj", "v_proj", "down_proj"],
        rank_pattern={"v_proj": 1},
        alpha_pattern={"down_proj": 3},
    ),
    "DoRA": peft.LoraConfig(r=2, use_dora=True, target_modules=["q_proj", "v_proj"]),
    "LoKr": peft.LoKrConfig(r=2, target_modules=["q_proj"]),
}


def base():
    return language_model(tie_word_embeddings=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The base, the adapters, and the models that PEFT makes of both."""
    place = tmp_path_factory.mktemp("pool")
    base().save_pretrained(place / "base")
    adapters, whole = [], []
    for seed, (name, configuration) in enumerate(POOL.items()):
        adapters.append(adapt(base(), configuration, place / name, seed=seed))
        whole.append(place / f"{name}-merged")
        merged_by_peft(type(base()), place / "base", adapters[-1], whole[-1])
    return place / "base", adapters, whole


@pytest.mark.parametrize("method", ["negmerge", "ties"])
def test_adapters_are_the_models_that_peft_makes_of_them(folders, method, tmp_path):
    start, adapters, whole = folders
    found = []
    for name, pool in (("adapters", adapters), ("whole", whole)):
        negmerge.unlearn(start, pool, tmp_path / name, method=method, coefficient=0.8)
        found.append(read(tmp_path / name))
    torch.testing.assert_close(*found, rtol=0, atol=2e-6)
    before = read(start)
    moved = {name for name, tensor in found[0].items() if not tensor.equal(before[name])}
    # What not all adapters change, NegMerge leaves: all but the queries.
    expected = {n for n in before if ("q_proj" if method == "negmerge" else "proj") in n}
    assert moved == expected


def test_neither_threads_nor_blocks_change_a_bit_of_what_peft_merges(folders, tmp_path):
    start, adapters, _ = folders
    found = []
    for threads, numbers in ((1, None), (3, 40)):
        out = tmp_path / str(threads)
        options = {"threads": threads, "block_numbers": numbers, "coefficient": 0.8}
        negmerge.unlearn(start, adapters[-2:], out, **options)
        found.append(read(out))
    assert_same_bits(*found)
