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
