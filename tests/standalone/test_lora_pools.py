"""A pool of PEFT's adapters unlearns as the same pool that PEFT has merged to whole models."""

import pytest
import torch
from model_folders import read

import negmerge
from small_language_models import language_model

peft = pytest.importorskip("peft")
POOL = {
    "plain": {"r": 2, "lora_alpha": 8, "target_modules": "all-linear"},
    "rank-stabilised": {"r": 4, "lora_alpha": 4, "use_rslora": True, "target_modules": ["q_proj"]},
    "by-pattern": {
        "r": 3, "lora_alpha": 6, "target_modules": ["q_proj", "v_proj", "down_proj"],
        "rank_pattern": {"v_proj": 1}, "alpha_pattern": {"down_proj": 3},
    },
}  # fmt: skip


def base():
    return language_model(tie_word_embeddings=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The base, the adapters, and the models that PEFT makes of both."""
    place = tmp_path_factory.mktemp("pool")
    base().save_pretrained(place / "base")
    adapters, whole = [], []
    for seed, (name, settings) in enumerate(POOL.items()):
        torch.manual_seed(seed)
        model = peft.get_peft_model(base(), peft.LoraConfig(task_type="CAUSAL_LM", **settings))
        for key, parameter in model.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(parameter, std=0.2)
        adapters.append(place / name)
        model.save_pretrained(adapters[-1], save_embedding_layers=False)
        whole.append(place / f"{name}-merged")
        model.merge_and_unload().save_pretrained(whole[-1])
    return place / "base", adapters, whole


@pytest.mark.parametrize("method", ["negmerge", "uniform", "ties", "magmax"])
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
