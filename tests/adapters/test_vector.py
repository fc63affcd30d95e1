"""The vector of an adapter is the formula of its layer, whatever the blocks."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adapter_examples import opened, pair, random, vector

NUMBERS = [1, 5, 12, 10**6]


def one(tmp_path, tensors, factors, name, numbers=10**6, **configuration):
    base, adapter = opened(tmp_path, tensors, factors, **configuration)
    return vector(base, adapter, numbers)[name]


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("turned", [False, True])
def test_a_linear_layer_and_one_that_is_stored_turned(tmp_path, numbers, turned):
    factors, product = pair("body.0.layer", 5, 3)
    expected = 3 * (product.T if turned else product)
    tensors = {"body.0.layer.weight": random(*expected.shape), "body.0.other.weight": random(4, 4)}
    base, adapter = opened(tmp_path, tensors, factors)
    assert adapter.names == ["body.0.layer.weight"]
    found = vector(base, adapter, numbers)
    torch.testing.assert_close(found["body.0.layer.weight"], expected)
    assert not found["body.0.other.weight"].any()


@pytest.mark.parametrize("numbers", [1, 4, 10**6])
def test_values_take_the_place_of_the_base(tmp_path, numbers):
    factors, product = pair("layer", 4, 3)
    values = {
        "layer.base_layer.bias": random(4, seed=2),
        "head.weight": random(2, 3, seed=3),
        "norm.num_batches_tracked": torch.tensor(7),
        "wte.token_adapter.trainable_tokens_delta": random(2, 3, seed=4),
    }
    tensors = {
        "layer.weight": random(4, 3),
        "layer.bias": random(4),
        "head.weight": random(2, 3),
        "wte.weight": random(6, 3),
        "norm.num_batches_tracked": torch.tensor(3),
    }
    base, adapter = opened(
        tmp_path, tensors, factors | values, trainable_token_indices={"wte": [4, 1]}
    )
    assert "norm.num_batches_tracked" not in adapter.names
    found = vector(base, adapter, numbers)
    torch.testing.assert_close(found["layer.weight"], 3 * product)
    for name, key in (("layer.bias", "layer.base_layer.bias"), ("head.weight", "head.weight")):
        torch.testing.assert_close(found[name], values[key] - tensors[name])
    rows = torch.zeros(6, 3)
    rows[[4, 1]] = (
        values["wte.token_adapter.trainable_tokens_delta"] - tensors["wte.weight"][[4, 1]]
    )
    torch.testing.assert_close(found["wte.weight"], rows)


@given(
    st.integers(1, 4),
    st.integers(1, 9),
    st.booleans(),
    st.integers(1, 6),
    st.integers(1, 6),
    st.integers(1, 40),
)
def test_ranks_and_scales(tmp_path_factory, rank, alpha, rslora, outputs, inputs, numbers):
    factors, product = pair("a.0.q", outputs, inputs, rank)
    plain, second = pair("a.1.q", outputs, inputs, 3, seed=4)
    # Without a bias a square layer is a linear one.
    tensors = {f"a.{layer}.q.weight": random(outputs, inputs) for layer in range(2)}
    base, adapter = opened(
        tmp_path_factory.mktemp("adapter"),
        tensors,
        factors | plain,
        r=3,
        lora_alpha=5,
        use_rslora=rslora,
        rank_pattern={r"a\.0\..*": rank},
        alpha_pattern={"0.q": alpha, "q": 7},
    )
    found = vector(base, adapter, numbers)
    scale, other = (
        ((alpha / math.sqrt(rank)), 7 / math.sqrt(3)) if rslora else (alpha / rank, 7 / 3)
    )
    torch.testing.assert_close(found["a.0.q.weight"], scale * product)
    torch.testing.assert_close(found["a.1.q.weight"], other * second)


@pytest.mark.parametrize("by_name", [True, False])
@pytest.mark.parametrize("turned", [False, True])
def test_a_square_layer_is_turned_as_the_other_layers_are(tmp_path, turned, by_name):
    factors, product = pair("h.0.attn.c_proj", 4, 4)
    shape = (8, 4) if turned else (4, 8)
    other = "mlp.c_proj" if by_name else "mlp.c_fc"
    tensors = {
        "h.0.attn.c_proj.weight": random(4, 4),
        "h.0.attn.c_proj.bias": random(4),
        f"h.0.{other}.weight": random(*shape),
        f"h.0.{other}.bias": random(4),
    }
    if by_name:  # a layer that shows the contrary, of another name
        tensors |= {"head.weight": random(*shape[::-1]), "head.bias": random(4)}
    found = one(tmp_path, tensors, factors, "h.0.attn.c_proj.weight", fan_in_fan_out=not turned)
    torch.testing.assert_close(found, 3 * (product.T if turned else product))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_factors_are_widened_before_they_are_multiplied(tmp_path, dtype):
    factors, _ = pair("layer", 4, 3)
    factors = {key: tensor.to(dtype) for key, tensor in factors.items()}
    found = one(tmp_path, {"layer.weight": random(4, 3)}, factors, "layer.weight")
    a, b = (tensor.double() for tensor in factors.values())
    torch.testing.assert_close(found.double(), 3 * b @ a, rtol=1e-6, atol=1e-6)
