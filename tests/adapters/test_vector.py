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


@pytest.mark.parametrize("numbers", NUMBERS)
def test_an_embedding(tmp_path, numbers):
    a, b = random(2, 7), random(4, 2)
    factors = {"wte.lora_embedding_A": a, "wte.lora_embedding_B": b}
    found = one(tmp_path, {"wte.weight": random(7, 4)}, factors, "wte.weight", numbers)
    torch.testing.assert_close(found, 3 * (b @ a).T)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("kernel", [(3,), (1, 1), (2, 3), (1, 2, 3)])
def test_a_convolution(tmp_path, numbers, kernel):
    a, b = random(2, 4, *kernel), random(5, 2, *[1] * len(kernel))
    factors = {"conv.lora_A.weight": a, "conv.lora_B.weight": b}
    tensors = {"conv.weight": random(5, 4, *kernel)}
    found = one(tmp_path, tensors, factors, "conv.weight", numbers)
    expected = 3 * torch.einsum("or,r...->o...", b.flatten(1), a)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("numbers", NUMBERS)
@pytest.mark.parametrize("turned", [False, True])
def test_stacked_experts(tmp_path, numbers, turned):
    experts, outputs, inputs = 3, 4, 5
    a, b = random(2 * experts, inputs), random(outputs, 2 * experts)
    factors = {"mlp.experts.lora_A.weight": a, "mlp.experts.lora_B.weight": b}
    expected = torch.stack(
        [3 * b[:, expert::experts] @ a[2 * expert : 2 * expert + 2] for expert in range(experts)]
    )
    expected = expected.transpose(1, 2) if turned else expected
    tensors = {"mlp.experts.up": random(*expected.shape)}
    found = one(
        tmp_path, tensors, factors, "mlp.experts.up", numbers, target_parameters=["experts.up"]
    )
    torch.testing.assert_close(found, expected)


def test_two_parameters_of_one_module(tmp_path):
    outer, up = pair("experts", 5, 3)
    inner, down = pair("experts.base_layer", 4, 6, seed=9)
    tensors = {"experts.up": random(5, 3), "experts.down": random(4, 6)}
    base, adapter = opened(
        tmp_path, tensors, outer | inner, target_parameters=["experts.up", "experts.down"]
    )
    found = vector(base, adapter)
    torch.testing.assert_close(found["experts.up"], 3 * up)
    torch.testing.assert_close(found["experts.down"], 3 * down)


def test_the_output_of_an_attention_counts_twice(tmp_path):
    inner, qkv = pair("attn", 12, 4)
    outer, out = pair("attn.base_layer.out_proj", 4, 4, seed=5)
    tensors = {
        "attn.in_proj_weight": random(12, 4),
        "attn.in_proj_bias": random(12),
        "attn.out_proj.weight": random(4, 4),
        "attn.out_proj.bias": random(4),
    }
    bias = {"attn.lora_B.bias": random(12), "attn.base_layer.out_proj.lora_B.bias": random(4)}
    base, adapter = opened(
        tmp_path, tensors, inner | outer | bias, lora_bias=True, alpha_pattern={"attn": 8}
    )
    found = vector(base, adapter)
    torch.testing.assert_close(found["attn.in_proj_weight"], 4 * qkv)
    torch.testing.assert_close(found["attn.out_proj.weight"], 8 * out)
    torch.testing.assert_close(found["attn.out_proj.bias"], 4 * random(4))
    assert not found["attn.in_proj_bias"].any()


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
