"""Models that transformers saves and loads compute what models unlearned in memory do."""

import pools
import pytest
import small_models
import torch


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        *((name, torch.float32) for name in small_models.MODELS),
        *((name, torch.bfloat16) for name in ("gpt2", "llama")),
    ],
)
def test_a_model_that_loads_computes_what_memory_does(tmp_path, name, dtype):
    base, expected = small_models.prepare(tmp_path, name, dtype)
    pools.run(tmp_path, "base")
    found = small_models.load(type(base), tmp_path / "out", dtype)
    pools.compare(small_models.MODELS[name][1], found, expected, base)


def test_a_model_in_shards_stays_in_shards(tmp_path):
    base, expected = small_models.prepare(tmp_path, "llama")
    pools.run(tmp_path, "base", "--max-shard-size", "30KB")
    assert len(list((tmp_path / "out").glob("model-*.safetensors"))) > 2
    assert not (tmp_path / "out" / "model.safetensors").exists()
    found = small_models.load(type(base), tmp_path / "out")
    pools.compare(small_models.of_words, found, expected, base)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_model_of_another_dtype_is_the_one_in_memory_rounded(tmp_path, dtype):
    dtype = getattr(torch, dtype)
    base, expected = small_models.prepare(tmp_path, "llama")
    pools.run(tmp_path, "base", "--dtype", str(dtype).removeprefix("torch."))
    found = small_models.load(type(base), tmp_path / "out", dtype)
    pools.compare(small_models.of_words, found, expected, base)


@pytest.mark.parametrize("name", ["gpt2", "llama-tied"])
def test_tied_tensors_stay_tied(tmp_path, name):
    base, _ = small_models.prepare(tmp_path, name)
    pools.run(tmp_path, "base")
    found = small_models.load(type(base), tmp_path / "out")
    places = found.get_input_embeddings().weight, found.get_output_embeddings().weight
    assert places[0].data_ptr() == places[1].data_ptr()
