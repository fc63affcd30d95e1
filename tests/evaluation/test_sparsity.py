import torch

from negmerge.evaluation.sparsity import Sparsity, sparsity
from negmerge.models.freezing import is_frozen
from negmerge.states import write_state
from negmerge.stored import StateFile

VECTOR = {
    "visual.attn.weight": torch.zeros(5),
    "visual.mlp.weight": torch.tensor([[1.0, 0.0], [-0.0, 1e-45]]),
    "visual.proj": torch.tensor(2.0),
}


def test_zeros_are_counted_against_both_denominators(tmp_path):
    write_state(tmp_path / "vector", VECTOR, {})
    for vector in (VECTOR, StateFile(tmp_path / "vector")):
        found = sparsity(vector, lambda name: not is_frozen(name, "attention"))
        assert found == Sparsity(kept=3, trainable=5, state=10)
        found = sparsity(vector, lambda name: not is_frozen(name, "nothing"))
        assert found == Sparsity(kept=3, trainable=10, state=10)
