"""Scales that grow with depth, as an option of every merge."""

import numpy as np
import pytest
import torch

from merge_examples import SETTINGS, bits, saved
from negmerge.merging import merge, merge_files
from negmerge.merging.lines import depths, scales
from refusals import refused

TWELVE = [f"visual.transformer.resblocks.{block}.attn.in_proj_weight" for block in range(12)]


def test_the_scales_are_those_of_the_authors():
    found = [*scales(TWELVE, 0.1).values()]
    expected = [0.1, 0.18182, 0.26364, 0.34545, 0.42727, 0.50909]
    np.testing.assert_allclose([*found[:6], found[-1]], [*expected, 1.0], atol=1e-5)
    falling = scales(TWELVE, 0.1, lines_falling=True).values()
    np.testing.assert_allclose([*falling], found[::-1])


# Names in the order of depth, and which block each is in; None and -1: before and behind them.
MODELS = {
    "CLIP": {
        "visual.class_embedding": None, "visual.positional_embedding": None,
        "visual.conv1.weight": None, "visual.ln_pre.weight": None,
        "visual.transformer.resblocks.2.mlp.c_fc.weight": 0,
        "visual.transformer.resblocks.10.ln_1.bias": 1,
        "visual.ln_post.weight": -1, "visual.proj": -1,
    },
    "ResNet": {
        "conv1.weight": None, "bn1.weight": None, "layer1.0.conv1.weight": 0,
        "layer1.1.conv1.weight": 1, "layer3.0.downsample.0.weight": 2, "layer3.1.conv1.weight": 3,
        "fc.weight": -1,
    },
    "Swin": {
        "patch_embed.proj.weight": None, "patch_embed.norm.bias": None,
        "layers.0.blocks.0.attn.qkv.weight": 0, "layers.0.blocks.1.mlp.fc1.weight": 1,
        "layers.2.downsample.norm.weight": 2, "layers.2.blocks.0.norm1.weight": 2,
        "layers.2.blocks.5.norm1.weight": 3, "norm.weight": -1, "head.fc.weight": -1,
    },
    "VGG": {"features.0.weight": 0, "features.3.weight": 1, "classifier.0.weight": -1},
    "ViT": {
        "class_token": None, "conv_proj.weight": None,
        "encoder.layers.encoder_layer_0.ln_1.weight": 0,
        "encoder.layers.encoder_layer_3.mlp.0.weight": 1, "heads.head.weight": -1,
    },
    "Llama": {
        "model.embed_tokens.weight": None, "model.layers.0.mlp.up_proj.weight": 0,
        "model.layers.7.mlp.experts.0.up_proj.weight": 1, "model.norm.weight": -1,
        "lm_head.weight": -1,
    },
    "GPT-2": {
        "transformer.wte.weight": None, "transformer.h.0.attn.c_attn.weight": 0,
        "transformer.h.1.ln_2.bias": 1, "transformer.ln_f.weight": -1,
    },
}  # fmt: skip


@pytest.mark.parametrize("names", MODELS.values(), ids=MODELS)
def test_names_tell_the_depth(names):
    last = max(filter(None, names.values()))
    ranks = {n: last if p == -1 else (p or 0) for n, p in names.items()}
    assert depths(names, "depth") == {name: rank / last for name, rank in ranks.items()}
    outside = {name: 0 if place == -1 else ranks[name] / last for name, place in names.items()}
    assert depths(names, "first") == outside


def pool():
    generator = torch.Generator().manual_seed(0)
    names = ["conv1.weight", "layer1.0.w", "layer1.1.w", "layer2.0.w", "fc.bias"]
    return [{name: torch.randn(30, 4, generator=generator) for name in names} for _ in range(3)]


@pytest.mark.parametrize(("method", "options"), SETTINGS, ids=str)
def test_every_merge_is_scaled_when_it_is_done_and_stays_as_it_is_without(method, options):
    plain = merge(method, pool(), **options)
    half = merge(method, pool(), lines=0.5, lines_outside="depth", **options)
    expected = {"conv1.weight": 0.5, "layer1.0.w": 0.5, "layer1.1.w": 0.75}
    for name, numbers in plain.items():
        assert torch.equal(half[name], numbers * expected.get(name, 1.0))
    assert bits(merge(method, pool(), lines=1, **options)) == bits(plain)


def test_a_file_names_the_scale_only_where_there_is_one(tmp_path):
    files = saved(pool(), tmp_path)
    report = merge_files("uniform", files, tmp_path / "plain.safetensors", lines=1.0)
    assert report["options"] == {}
    report = merge_files("uniform", files, tmp_path / "scaled.safetensors", lines=0.0)
    assert report["options"] == {"lines": 0.0}
    assert report["kept"] == report["numbers"] * 2 / 5


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"lines": 2}, ("negmerge: lines is 2", "less than or equal to 1")),
        ({"lines_outside": "head"}, ("lines_outside is 'head'", "'first' or 'depth'")),
        ({"lines": 0.5}, ("lines: ", "1 blocks", "'layer1.0.w'", "2 or more")),
    ],
)
def test_what_cannot_be_scaled_is_refused(options, parts):
    vector = {"layer1.0.w": torch.ones(2), "fc.bias": torch.ones(1)}
    line = refused(lambda: merge("negmerge", [vector], **options))
    assert all(part in line for part in parts), line
