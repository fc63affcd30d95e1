"""Models that transformers saves and loads compute what models unlearned in memory do."""

import pools
import pytest
import small_models
import torch


@pytest.mark.parametrize("name", small_models.MODELS)
def test_a_model_that_loads_computes_what_memory_does(tmp_path, name):
    dtype = torch.bfloat16 if name == "llama" else torch.float32
    base, expected = small_models.prepare(tmp_path, name, dtype)
    pools.run(tmp_path)
    loaded = small_models.load(type(base), tmp_path / "out", dtype)
    pools.compare(small_models.outputs, loaded, expected, base)
