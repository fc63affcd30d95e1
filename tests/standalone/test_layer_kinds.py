"""Names of tensors as they are in models of the libraries."""

import pytest

from negmerge.standalone.inspection import kind

NAMES = {
    "attention": [
        "model.layers.3.self_attn.q_proj.weight",
        "transformer.h.0.attn.c_attn.weight",
        "transformer.h.0.attn.c_proj.weight",
        "bert.encoder.layer.0.attention.self.query.weight",
        "bert.encoder.layer.0.attention.output.dense.weight",
        "visual.transformer.resblocks.0.attn.in_proj_weight",
        "visual.transformer.resblocks.0.attn.out_proj.weight",
        "blocks.0.attn.qkv.weight",
        "encoder.block.0.layer.0.SelfAttention.q.weight",
    ],
    "mlp": [
        "model.layers.3.mlp.gate_proj.weight",
        "transformer.h.0.mlp.c_fc.weight",
        "bert.encoder.layer.0.intermediate.dense.weight",
        "bert.encoder.layer.0.output.dense.weight",
        "blocks.0.mlp.fc1.weight",
        "encoder.block.0.layer.1.DenseReluDense.wi_0.weight",
        "model.layers.0.block_sparse_moe.experts.0.w1.weight",
    ],
    "norm": [
        "model.layers.3.input_layernorm.weight",
        "transformer.h.0.ln_1.bias",
        "transformer.ln_f.weight",
        "bert.embeddings.LayerNorm.weight",
        "layer1.0.bn1.weight",
        "visual.ln_pre.weight",
        "model.layers.0.self_attn.q_norm.weight",
    ],
    "embedding": [
        "model.embed_tokens.weight",
        "transformer.wte.weight",
        "bert.embeddings.word_embeddings.weight",
        "visual.class_embedding",
        "pos_embed",
        "patch_embed.proj.weight",
        "shared.weight",
    ],
    "head": [
        "lm_head.weight",
        "classifier.weight",
        "head.fc.weight",
        "fc.weight",
        "visual.proj",
        "text_projection.weight",
        "score.weight",
    ],
    "bias": [
        "model.layers.3.self_attn.q_proj.bias",
        "visual.transformer.resblocks.0.attn.in_proj_bias",
        "fc.bias",
        "conv1.bias",
    ],
    "convolution": ["conv1.weight", "visual.conv1.weight", "layer1.0.conv2.weight"],
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
