"""What lies where weights should be, and weights that are packed."""

import json

import pytest
import torch
from safetensors.torch import save_file

from negmerge.checkpoints.opening import open_state

FOREIGN = {
    "a Git LFS pointer": (b"version https://git-lfs.github.com/spec/v1\n", "run `git lfs pull`"),
    "a web page": (b"\n<!doctype html><html>Sign in</html>", "download the file itself"),
    "a GGUF file": (b"GGUF\3" + bytes(99), "give the model that it was made from"),
    "an empty file": (b"", "expected weights"),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_what_is_no_model_is_named(tmp_path, refused, kind):
    path, (content, advice) = tmp_path / "model.safetensors", FOREIGN[kind]
    path.write_bytes(content)
    for place in (path, tmp_path):
        assert refused(place).startswith(f"{path}: {kind}")
        assert refused(place).endswith(advice)


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


@pytest.mark.parametrize(("state", "kind"), QUANTISED.values(), ids=QUANTISED)
def test_quantised_weights_are_refused_by_tensor(tmp_path, refused, state, kind):
    path = tmp_path / "model.safetensors"
    save_file(state, path)
    name = next(name for name in sorted(state) if name != "l.weight")
    message = f"{path}: tensor {name!r} is of weights quantised by {kind}, expected"
    assert refused(path).startswith(message)


def test_weights_of_whole_numbers_are_refused(tmp_path, refused):
    path = tmp_path / "model.safetensors"
    save_file({"l.weight": PACKED}, path)
    assert refused(path).startswith(f"{path}: tensor 'l.weight' holds torch.uint8, expected")
    # A mask is no weight.
    save_file({"l.weight": PACKED.bool()}, path)
    assert open_state(path)["l.weight"].all()


def test_scales_of_plain_weights_are_weights(tmp_path):
    save_file({"l.scales": torch.ones(2), "l.weight": torch.ones(2)}, tmp_path / "a")
    save_file({"scales": torch.ones(2)}, tmp_path / "b")
    assert open_state(tmp_path / "a").names == ["l.scales", "l.weight"]
    assert open_state(tmp_path / "b").names == ["scales"]


def test_a_configuration_that_tells_of_quantisation_is_refused(tmp_path, refused):
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    path = tmp_path / "config.json"
    path.write_text('{"quantization_config": {"quant_method": "awq"}}')
    assert refused(tmp_path).startswith(f"{path}: quantization_config says awq, expected")
    path.write_text('{"quantization": {"group_size": 64, "bits": 4}}')
    assert refused(tmp_path).startswith(f"{path}: quantization says mlx, expected")
    for config in ({}, {"quantization_config": None}, {"quantization_config": {}}):
        path.write_text(json.dumps(config))
        assert open_state(tmp_path).names == ["w"]
