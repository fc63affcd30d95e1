"""Names of tensors as they are in models of the libraries."""

import pytest

from negmerge.standalone.inspection import kind

NAMES = {
    "attention": [
        "model.layers.3.self_attn.q_proj.weight",
        "transformer.h.0.attn.c_proj.weight",
        "bert.encoder.layer.0.attention.output.dense.weight",
        "visual.transformer.resblocks.0.attn.in_proj_weight",
        "encoder.block.0.layer.0.SelfAttention.q.weight",
    ],
    "mlp": [
        "model.layers.3.mlp.gate_proj.weight",
        "bert.encoder.layer.0.output.dense.weight",
        "blocks.0.mlp.fc1.weight",
        "model.layers.0.block_sparse_moe.experts.0.w1.weight",
    ],
    "norm": [
        "transformer.h.0.ln_1.bias",
        "layer1.0.bn1.weight",
        "bert.embeddings.LayerNorm.weight",
    ],
    "embedding": ["transformer.wte.weight", "visual.class_embedding", "shared.weight"],
    "head": ["lm_head.weight", "fc.weight", "visual.proj"],
    "bias": ["model.layers.3.self_attn.q_proj.bias", "conv1.bias"],
    "convolution": ["visual.conv1.weight", "layer1.0.conv2.weight"],
}


@pytest.mark.parametrize(
    ("name", "expected"), [(name, kind) for kind, names in NAMES.items() for name in names]
)
def test_a_tensor_has_the_kind_that_its_name_tells(name, expected):
    assert kind(name, (4, 4)) == expected


def test_a_name_that_tells_nothing_is_told_by_the_shape_or_its_last_part():
    assert kind("features.0.weight", (8, 3, 3, 3)) == "convolution"
    assert kind("features.0.weight", (8, 3)) == "weight"
    assert kind("logit_scale", ()) == "logit_scale"
