import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import negmerge
from negmerge.errors import UserError
from negmerge.vectors import apply, in_vector


class Tied(nn.Module):
    """A language model in the small: tied embeddings, batch statistics, an integer buffer."""

    def __init__(self, dtype=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 4)
        self.norm = nn.BatchNorm1d(4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight
        self.register_buffer("positions", torch.arange(7))
        self.register_buffer("scale", torch.tensor(2.0))
        self.to(dtype)

    def forward(self, words):
        return self.head(self.norm(self.embedding(words)) * self.scale)


def vector_of(model, seed=1, size=1.0):
    """A vector as it is computed from the states of the model."""
    generator = torch.Generator().manual_seed(seed)
    vector = {
        name: size * torch.randn(tensor.shape, generator=generator)
        for name, tensor in model.state_dict().items()
        if in_vector(name, tensor)
    }
    if "head.weight" in vector:
        vector["head.weight"] = vector["embedding.weight"].clone()
    return vector


def bits(model):
    return {
        name: (tensor.dtype, tensor.detach().reshape(-1).view(torch.uint8).tolist())
        for name, tensor in model.state_dict().items()
    }


def falling(states=None):
    """An evaluation whose scores fall with each call; it keeps the states that it sees."""
    calls = iter(range(1000))

    def evaluate(model):
        if states is not None:
            states.append({name: t.clone() for name, t in model.state_dict().items()})
        call = next(calls)
        return {"forget": 1 - call / 100, "control": 1 - call / 50}

    return evaluate


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_the_model_is_what_apply_computes_and_then_the_base(dtype):
    model, states = Tied(dtype), []
    vector, before = vector_of(model), bits(model)
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    choice = negmerge.search(model, vector, falling(states), coefficients=[0.3, 0.7, 0.9])
    assert bits(model) == before
    for measured, state in zip(choice.measurements, states, strict=True):
        expected = apply(base, vector, -measured.coefficient)
        assert all(torch.equal(state[name], expected[name]) for name in expected)
    assert choice.coefficient == 0.7  # 0.96 of control is kept there, 0.94 at 0.9
    negmerge.search(model, vector, falling(), coefficients=[0.3, 0.7, 0.9], apply=True)
    assert all(torch.equal(model.state_dict()[name], states[2][name]) for name in base)
    assert model.head.weight is model.embedding.weight


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt])
def test_a_failure_puts_the_base_back(raised):
    model, good = Tied(torch.float16), falling()
    before = bits(model)

    def evaluate(model):
        scores = good(model)
        if scores["forget"] < 0.99:
            assert bits(model) != before
            raise raised
        return scores

    with pytest.raises(raised):
        negmerge.search(model, vector_of(model), evaluate, apply=True)
    assert bits(model) == before


@given(st.lists(st.floats(0, 100, width=16), min_size=1, max_size=5), st.floats(1e-6, 1e30))
def test_no_way_there_and_back_changes_a_bit(coefficients, size):
    model = nn.Linear(3, 2).half()
    with torch.no_grad():
        model.bias.copy_(torch.tensor([-0.0, 6e-8]))
    before, vector = bits(model), vector_of(model, size=size)
    negmerge.search(model, vector, falling(), coefficients=[*coefficients, 1.0], keep=0)
    assert bits(model) == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model.norm.bias": torch.zeros(4), "norm.bias": None}, "'model.norm.bias' .*1 of 5"),
        ({"norm.bias": torch.zeros(5)}, r"'norm.bias' has shape \[5\], expected \[4\]"),
        ({"positions": torch.zeros(7)}, "'positions' .*int64"),
        ({"norm.running_mean": torch.zeros(4)}, "'norm.running_mean'"),
        ({"head.weight": torch.ones(7, 4)}, "'head.weight' differs from 'embedding.weight'"),
        ({"scale": torch.tensor(math.inf)}, "'scale' holds 1 NaN or infinite of 1"),
    ],
)
def test_a_vector_of_another_model_is_refused(changes, message):
    model = Tied()
    vector = {name: t for name, t in (vector_of(model) | changes).items() if t is not None}
    with pytest.raises(UserError, match=message):
        negmerge.search(model, vector, lambda model: pytest.fail("nothing is to be evaluated"))
