"""Models of others by the project's names, and what cannot be one."""

import re

import pytest
import torch
from safetensors.torch import save_file

from negmerge.errors import UserError
from negmerge.models.classifiers import build_classifier
from negmerge.models.clip import ImageEncoder, image_tower
from negmerge.scenarios.given import read_model, require_untouched, with_counters
from released_files import save_linear, save_whole, text_part, with_released_names

CLIP = {
    "architecture": {
        "embed_dim": 8,
        "vision_cfg": {
            "image_size": 8, "patch_size": 4, "width": 16, "layers": 2, "head_width": 8,
        },
        "text_cfg": {"context_length": 5, "vocab_size": 9, "width": 8, "heads": 2, "layers": 1},
    }
}  # fmt: skip
RESNET = {
    "architecture": {"kind": "resnet18", "width": 2},
    "size": 8,
    "mean": [0.4914, 0.4822, 0.4465],
    "std": [0.247, 0.2435, 0.2616],
}


@pytest.fixture
def image():
    torch.manual_seed(0)
    return ImageEncoder(image_tower(CLIP)).state_dict()


@pytest.fixture
def text():
    return text_part(8, 9, 5, 8)


@pytest.fixture
def network():
    return build_classifier(RESNET, 3).state_dict()


def equal(found, expected):
    assert found.keys() == expected.keys()
    return all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("form", ["open_clip", "torch", "released", "whole", "linear"])
def test_an_image_encoder_is_found_in_all_forms_of_files(tmp_path, image, text, form):
    path = tmp_path / ("model.safetensors" if form == "open_clip" else "model.pt")
    released = with_released_names(image, text)
    if form == "open_clip":
        save_file(image | text, path)
    elif form == "torch":
        torch.save({"state_dict": {f"module.{n}": t for n, t in (image | text).items()}}, path)
    elif form == "released":
        torch.save(released, path)
    elif form == "whole":
        save_whole(path, released)
    else:
        save_linear(path, released, {name: 0 * tensor for name, tensor in released.items()})
    found, rest = read_model(path, CLIP)
    assert equal(found, image)
    assert equal(rest, text)


@pytest.mark.parametrize("salun", [False, True])
def test_a_classifier_is_found_by_the_names_of_others(tmp_path, network, salun):
    state = {name.removeprefix("network."): tensor for name, tensor in network.items()}
    if salun:
        for key in ("mean", "std"):
            state[f"normalize.{key}"] = torch.tensor(RESNET[key]).view(1, 3, 1, 1)
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "model.th")
    found, rest = read_model(tmp_path / "model.th", RESNET)
    assert equal(found, network)
    assert not rest


def test_a_training_checkpoint_in_torch_s_old_format_is_read(tmp_path, network):
    """Without counters of batches, and with the names of DataParallel, as old files are."""
    counters = {name for name in network if name.endswith("num_batches_tracked")}
    named = {n.removeprefix("network."): t for n, t in network.items() if n not in counters}
    content = {"state_dict": {f"module.{name}": t for name, t in named.items()}, "best_prec1": 9.5}
    torch.save(content, tmp_path / "net.th", _use_new_zipfile_serialization=False)
    found, _ = read_model(tmp_path / "net.th", RESNET)
    assert found.keys() == network.keys() - counters
    assert counters
    assert equal(with_counters(found, network), network)


def test_a_key_chooses_among_the_states_of_a_file(tmp_path, network):
    path = tmp_path / "checkpoint.pth"
    older = {name: torch.zeros_like(tensor) for name, tensor in network.items()}
    torch.save({"model": older, "ema": network}, path)
    assert equal(read_model(path, RESNET, "ema")[0], network)
    assert equal(read_model(path, RESNET, "model")[0], older)
    with pytest.raises(UserError, match=r"holds several states, choose one by --key: model "):
        read_model(path, RESNET)


def test_a_classifier_that_normalises_otherwise_is_refused(tmp_path, network):
    state = network | {"normalize.mean": torch.zeros(1, 3, 1, 1)}
    torch.save(state, tmp_path / "model.pth")
    expected = "tensor 'normalize.mean' is [0.0, 0.0, 0.0], the model's row has mean [0.4914, "
    with pytest.raises(UserError, match=re.escape(expected)):
        read_model(tmp_path / "model.pth", RESNET)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("logit_scale", 7.0, "tensor 'logit_scale' is not that of the base, but only tensors that"),
        ("lora.up", 0.0, "tensor 'lora.up' is not expected; the base has none"),
    ],
)
def test_only_the_image_encoder_may_differ_from_the_base(tmp_path, text, place, value, message):
    base = tmp_path / "text.safetensors"
    save_file(text, base)
    assert require_untouched(text, [base], "m1.pt") == sum(t.numel() for t in text.values())
    with pytest.raises(UserError, match=re.escape(f"m1.pt: {message}")):
        require_untouched(text | {place: torch.tensor(value)}, [base], "m1.pt")
