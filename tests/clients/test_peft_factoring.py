"""Adapters that this library writes are loaded by PEFT, and change the base as they should."""

import json
import warnings

import pytest
import torch
from peft import LoraConfig
from peft_adapters import OTHER_ORDER, adapt, distance, merged_by_peft, pool_of, write_base
from test_peft_merge import small
from test_peft_models import MODELS, made

from negmerge.adapters.adapter import open_adapter
from negmerge.adapters.factoring import Layers, concatenate, factor
from negmerge.adapters.writing import write_adapter
from negmerge.checkpoints.opening import open_state

COEFFICIENT = 0.7
# Factors of a whole matrix have, beside the roundings of a sum of their products, those of singular
# vectors, of numbers as large as the largest singular value: 3 times the largest number here.
FACTORED = 4 * OTHER_ORDER


def means(pool):
    """Yield each block with the mean of its vectors."""
    for block in pool.blocks():
        yield block, block.stack().mean(0).reshape(-1)


def moved_by_mean(base, pool):
    """Return base - coefficient * mean, by tensor."""
    parts = {}
    for block, rows in means(pool):
        parts.setdefault(block.name, []).append(block.origin - COEFFICIENT * rows)
    return {name: torch.cat(parts[name]).view(base.shape(name)) for name in parts}


def loaded(model, folder):
    """Return the state after PEFT's merge; PEFT warns of tensors that have no place."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        state = merged_by_peft(model, folder)
    assert not [warning for warning in warned if "missing" in str(warning.message).lower()]
    return state


CASES = {
    "linear": {"target_modules": ["wide", "bare", "square"]},
    "embedding and convolutions": {"target_modules": ["embedding", "conv", "point", "conv1"]},
    "attention": {"target_modules": ["attention", "wide"], "bias": "all"},
    "attention alone": {"target_modules": ["attention"]},
    "biases": {"target_modules": ["wide"], "lora_bias": True},
    "whole modules": {"target_modules": ["wide"], "modules_to_save": ["head", "norm"]},
    "parameters": {"target_modules": ["bare"], "target_parameters": ["wide.weight"]},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("exact", [True, False])
def test_layers(case, exact, tmp_path):
    base = write_base(small(), tmp_path / "base.safetensors")
    adapters = [
        open_adapter(
            adapt(small(), LoraConfig(r=rank, **CASES[case]), tmp_path / str(rank), seed=rank), base
        )
        for rank in (2, 3)
    ]
    pool = pool_of(base, adapters)
    layers = Layers(base, adapters)
    if exact:
        factored = concatenate(adapters, [0.5, 0.5], COEFFICIENT, layers)
        assert factored.rank == 5
    else:
        factored = factor(means(pool), COEFFICIENT, 6, layers)
    assert factored.loss < 1e-5
    write_adapter(tmp_path / "out", factored, layers)
    found = loaded(small(), tmp_path / "out")
    most = OTHER_ORDER if exact else FACTORED
    assert distance(moved_by_mean(base, pool), found) <= most


@pytest.mark.parametrize("name", ["gpt2 with embeddings", "llama with heads", "bert", "clip"])
def test_models_from_adapters(name, tmp_path):
    made(name).save_pretrained(tmp_path / "base")
    base = open_state(tmp_path / "base")
    settings = LoraConfig(**MODELS[name][1])
    adapters = [
        open_adapter(adapt(made(name), settings, tmp_path / str(seed), seed=seed), base)
        for seed in (1, 2)
    ]
    layers = Layers(base, adapters)
    write_adapter(
        tmp_path / "out", concatenate(adapters, [0.5, 0.5], COEFFICIENT, layers), layers, "base"
    )
    fresh = type(made(name)).from_pretrained(tmp_path / "base")
    found = loaded(fresh, tmp_path / "out")
    assert distance(moved_by_mean(base, pool_of(base, adapters)), found) <= OTHER_ORDER
    stored = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert stored["base_model_name_or_path"] == "base"
