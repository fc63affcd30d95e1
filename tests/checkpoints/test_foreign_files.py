"""What lies where weights should be, and weights that are packed."""

import json

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.opening import open_state

POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db\n"
    b"size 90868376\n"
)
FOREIGN = {
    "a Git LFS pointer": (
        POINTER,
        "a Git LFS pointer in place of the weights; run `git lfs pull`",
    ),
    "a web page": (
        b"\n<!doctype html><html><body>Sign in</body></html>",
        "a web page in place of the weights; download the file itself",
    ),
    "GGUF": (
        b"GGUF\3" + bytes(99),
        "a GGUF file of llama.cpp; give the model that it was made from",
    ),
    "nothing": (b"", "an empty file, expected weights"),
}


@pytest.mark.parametrize(("content", "line"), FOREIGN.values(), ids=FOREIGN)
def test_what_is_no_model_is_named(tmp_path, refused, content, line):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    for place in (path, tmp_path):
        assert refused(place) == f"{path}: {line}"


PACKED = torch.ones(4, 4, dtype=torch.uint8)
FLOAT8 = torch.ones(4, 4).to(torch.float8_e4m3fn)
QUANTISED = {
    "bitsandbytes 4 bit": ({"l.weight": PACKED, "l.weight.absmax": torch.ones(2)}, "bitsandbytes"),
    "GPTQ": ({"l.qweight": PACKED.int(), "l.scales": torch.ones(2)}, "AWQ or GPTQ"),
    "float8": ({"l.weight": FLOAT8, "l.weight_scale": torch.ones(1)}, "float8 or int8 with scales"),
    "float8 blocks": (
        {"l.weight": FLOAT8, "l.weight_scale_inv": torch.ones(1)},
        "float8 with scales",
    ),
}
ADVICE = "expected weights of 16 to 64 bits: give the model that was quantised"


@pytest.mark.parametrize(("state", "kind"), QUANTISED.values(), ids=QUANTISED)
def test_quantised_weights_are_refused_by_tensor(tmp_path, refused, state, kind):
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    name = next(name for name in sorted(state) if name != "l.weight")
    assert refused(path) == f"{path}: tensor {name!r} is of weights quantised by {kind}, {ADVICE}"


def test_weights_of_whole_numbers_are_refused(tmp_path, refused):
    path = tmp_path / "model.safetensors"
    save_file({"l.weight": PACKED}, path)
    assert refused(path) == f"{path}: tensor 'l.weight' holds torch.uint8, {ADVICE}"
    # A mask is no weight.
    save_file({"l.weight": PACKED.bool()}, path)
    assert open_state(path)["l.weight"].all()


def test_scales_of_plain_weights_are_weights(tmp_path):
    save_file({"l.scales": torch.ones(2), "l.weight": torch.ones(2)}, tmp_path / "a")
    save_file({"scales": torch.ones(2)}, tmp_path / "b")
    assert open_state(tmp_path / "a").names == ["l.scales", "l.weight"]
    assert open_state(tmp_path / "b").names == ["scales"]


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"quantization_config": {"quant_method": "awq"}},
            "quantization_config says awq",
        ),
        ({"quantization": {"group_size": 64, "bits": 4}}, "quantization says mlx"),
    ],
)
def test_a_configuration_that_tells_of_quantisation_is_refused(tmp_path, refused, config, line):
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert refused(tmp_path) == f"{tmp_path / 'config.json'}: {line}, {ADVICE}"


def test_a_configuration_without_quantisation_is_none_of_its_business(tmp_path):
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    for config in ({}, {"quantization_config": None}, {"quantization_config": {}}):
        (tmp_path / "config.json").write_text(json.dumps(config))
        assert open_state(tmp_path).names == ["w"]
