from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import models
from torchvision.models import resnet18 as torchvision_resnet18
from torchvision.models.resnet import BasicBlock

from negmerge.checkpoints.states import read_state, shapes, write_state
from negmerge.errors import UserError
from negmerge.models import convolutional
from negmerge.models.classifiers import (
    SWIN,
    Normalisation,
    build_classifier,
    load_classifier,
)
from negmerge.models.last_linear import last_linear

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def row(kind="resnet18", size=32, **options):
    return {
        "architecture": {"kind": kind, **options},
        "mean": MEAN,
        "std": STD,
        "size": size,
        "title": "rows have other keys, too",
    }


SMALL = row(width=8)
ROWS = {
    "resnet18": SMALL,
    "vgg16-salun": row("vgg16-bn"),
    "vgg16-lth": row("vgg16-bn", variant="lth"),
    "swin-t": row("swin-t", size=64),
}


def images(count=3, size=32):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def conv(inputs, outputs, side=3):
    return inputs * outputs * side * side


@pytest.fixture(scope="module", params=ROWS)
def trained(request):
    """A row and its model with statistics that are not those of a new one."""
    torch.manual_seed(0)
    chosen = ROWS[request.param]
    model = build_classifier(chosen, 10)
    model(images(4, chosen["size"]))
    return chosen, model.eval()


def test_resnet18_has_11_17_million_parameters():
    assert count(build_classifier(row(), 10)) == 11_173_962
    assert count(build_classifier(row(width=64), 100)) == 11_173_962 + 90 * 513
    layers = [f"layer{n}.1.conv2" for n in (1, 2, 3, 4)]
    narrow = build_classifier(SMALL, 10).network
    assert [narrow.get_submodule(name).out_channels for name in layers] == [8, 16, 32, 64]


def test_resnet18_is_torchvision_s_with_another_stem():
    model = build_classifier(row(), 10).eval()
    other = torchvision_resnet18(num_classes=10).eval()
    other.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    other.maxpool = nn.Identity()
    network = model.network
    assert shapes(network.state_dict()) == shapes(other.state_dict())
    assert list(network.state_dict()) == list(other.state_dict())
    other.load_state_dict(network.state_dict())
    batch = images()
    with torch.no_grad():
        normalised = Normalisation(MEAN, STD)(batch)
        torch.testing.assert_close(model(batch), other(normalised), rtol=1e-4, atol=1e-5)


def test_its_blocks_are_torchvision_s_in_every_bit(monkeypatch):
    batch, labels = images(4), torch.tensor([0, 1, 2, 3])
    found = []
    for block in (convolutional._Block, BasicBlock):
        monkeypatch.setattr(convolutional, "_Block", block)
        torch.manual_seed(0)
        model = build_classifier(SMALL, 10)
        made = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        logits = model(batch)
        nn.functional.cross_entropy(logits, labels).backward()
        gradients = {name: one.grad for name, one in model.named_parameters()}
        found.append([made, gradients, model.state_dict(), {"logits": logits}])
    for own, other in zip(*found, strict=True):
        assert list(own) == list(other)
        assert all(torch.equal(own[name], other[name]) for name in own)


@pytest.mark.parametrize("variant", ["salun", "lth"])
def test_vgg16_has_the_shapes_of_the_literature(variant):
    model = build_classifier(row("vgg16-bn", variant=variant), 10)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, *[512] * 6]
    pairs = list(pairwise(widths))
    body = sum(conv(*pair) + 2 * pair[1] for pair in pairs)
    if variant == "salun":
        expected = body + 2049 * 256 + 257 * 256 + 257 * 10
    else:
        expected = body + sum(widths[1:]) + 513 * 10
    assert count(model) == expected
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == (3 if variant == "salun" else 1)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 13
    assert all((one.bias is not None) == (variant == "lth") for one in convolutions)


def test_swin_t_is_timm_s():
    import timm

    model = build_classifier(row("swin-t", size=224), 1000)
    assert count(model) == 28_288_354
    other = timm.create_model(SWIN, num_classes=1000)
    assert shapes(model.network.state_dict()) == shapes(other.state_dict())


def test_pretrained_weights_are_read_from_a_given_file_and_only_for_new_models(monkeypatch):
    import timm

    asked = []
    make = timm.create_model

    def create(name, pretrained=False, pretrained_cfg_overlay=None, **options):
        asked.append((name, pretrained, pretrained_cfg_overlay))
        return make(name, **options)

    monkeypatch.setattr(timm, "create_model", create)
    chosen = row("swin-t", size=64, pretrained=True)
    state = build_classifier(chosen, 5, Path("w.safetensors")).state_dict()
    assert asked == [(SWIN, True, {"file": "w.safetensors"})]
    load_classifier(chosen, state, "x.safetensors")
    build_classifier(row("swin-t", size=64), 5, Path("w.safetensors"))
    assert asked[1:] == [(SWIN, False, None)] * 3


def test_the_input_is_normalised_inside(trained):
    chosen, model = trained
    batch = images(2, chosen["size"])
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    with torch.no_grad():
        torch.testing.assert_close(model(batch), model.network((batch - mean) / std))
        assert model(batch).shape == (2, 10)
    assert next(iter(model)) is model.normalisation


def test_the_normalisation_is_in_no_state(trained):
    _, model = trained
    assert all(name.startswith("network.") for name in model.state_dict())
    assert {name for name, _ in model.named_buffers()} >= {"normalisation.mean"}


def test_a_model_comes_back_from_its_file(trained, tmp_path):
    chosen, model = trained
    path = tmp_path / "model.safetensors"
    write_state(path, model.state_dict(), {})
    state = read_state(path)
    assert all(tensor.is_contiguous() for tensor in state.values())
    again = load_classifier(chosen, state, str(path)).eval()
    batch = images(3, chosen["size"])
    with torch.no_grad():
        assert torch.equal(again(batch), model(batch))
    for name, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name
        assert again.state_dict()[name].stride() == tensor.stride(), name


def test_one_more_output_is_loaded(trained):
    chosen, model = trained
    name, layer = last_linear(model)
    state = dict(model.state_dict())
    for key in ("weight", "bias"):
        tensor = state[f"{name}.{key}"]
        state[f"{name}.{key}"] = torch.cat([tensor, tensor[:1]])
    wider = load_classifier(chosen, state, "x.safetensors").eval()
    batch = images(3, chosen["size"])
    with torch.no_grad():
        logits = wider(batch)
        assert logits.shape == (3, layer.out_features + 1)
        torch.testing.assert_close(logits[:, :-1], model(batch))
        torch.testing.assert_close(logits[:, -1], logits[:, 0])


def test_the_last_linear_layer_gives_the_logits(trained):
    chosen, model = trained
    name, layer = last_linear(model)
    assert layer is model.get_submodule(name)
    with torch.no_grad():
        logits = model(images(2, chosen["size"]))
        layer.bias += 1
        torch.testing.assert_close(model(images(2, chosen["size"])), logits + 1)
        layer.bias -= 1


def test_a_model_without_linear_layers_has_no_last_one():
    with pytest.raises(UserError, match="Conv2d has no linear layer"):
        last_linear(nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize(
    ("chosen", "expected"), [(SMALL, True), (row("vgg16-bn"), True), (row(width=7), False)]
)
def test_convolutions_lie_channels_last_unless_one_is_too_narrow(chosen, expected):
    layers = [m for m in build_classifier(chosen, 10).modules() if isinstance(m, nn.Conv2d)]
    last = [m.weight.is_contiguous(memory_format=torch.channels_last) for m in layers]
    assert all(last) == expected


def test_new_weights_come_from_torch_s_generator():
    states = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        states.append(build_classifier(SMALL, 10).state_dict()["network.conv1.weight"])
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])
    # Kaiming, fan out: 2 / (8 channels * 9).
    assert states[0].std() == pytest.approx((2 / 72) ** 0.5, rel=0.15)


def test_the_state_of_another_model_is_refused():
    state = build_classifier(SMALL, 10).state_dict()
    first, head = "network.conv1.weight", "network.fc.weight"
    for changed, message in (
        ({n: t for n, t in state.items() if n != head}, f"{head!r} is missing (1 in all)"),
        ({n: t for n, t in state.items() if n != first}, f"{first!r} is missing (1 in all)"),
        (state | {"more": torch.zeros(1)}, "'more' is not expected (1 in all)"),
        (
            state | {head: torch.zeros(10, 9)},
            f"{head!r} has shape [10, 9], expected [10, 64]",
        ),
        (state | {head: torch.zeros(9)}, f"{head!r} has shape [9], expected [1, 64]"),
    ):
        with pytest.raises(UserError) as caught:
            load_classifier(SMALL, changed, "x.safetensors")
        assert str(caught.value) == f"x.safetensors: tensor {message}"


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"kind": "resnet"}, "unknown kind of classifier 'resnet'; did you mean 'resnet18'?"),
        (
            {},
            "unknown kind of classifier None; valid: resnet18, swin-t, timm, torchvision, vgg16-bn",
        ),
        ({"kind": "resnet18", "widht": 8}, "unknown option of resnet18 'widht'; did you mean"),
        ({"kind": "resnet18", "width": 0}, "width is 0, expected a whole number from 1"),
        ({"kind": "resnet18", "width": "8"}, "width is '8', expected a whole number from 1"),
        ({"kind": "vgg16-bn", "variant": "lht"}, "unknown variant of vgg16-bn 'lht'; did you mean"),
    ],
)
def test_a_wrong_row_is_refused(architecture, message):
    with pytest.raises(UserError) as caught:
        build_classifier(row() | {"architecture": architecture}, 10)
    assert message in str(caught.value)


def test_other_models_come_from_timm():
    row = {
        "architecture": {"kind": "timm", "name": "resnet10t"},
        "size": 32,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    }
    model = build_classifier(row, 7).eval()
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    row["architecture"]["name"] = "resnet-10"
    with pytest.raises(UserError, match=r"^unknown model of timm 'resnet-10'; did you mean "):
        build_classifier(row, 7)


@pytest.mark.parametrize("name", ["resnet18", "shufflenet_v2_x0_5", "googlenet"])
def test_other_models_come_from_torchvision(name):
    row = {"architecture": {"kind": "torchvision", "name": name}, "size": 32}
    row |= {"mean": [0.5] * 3, "std": [0.5] * 3}
    if name == "googlenet":  # its outputs are more than logits
        with pytest.raises(UserError, match=r"^unknown classifier of torchvision 'googlenet'; did"):
            build_classifier(row, 7)
        return
    model = build_classifier(row, 7).eval()
    assert model(torch.rand(2, 3, 32, 32)).shape == (2, 7)
    theirs = models.get_model(name, weights=None, num_classes=7).state_dict()
    assert list(model.network.state_dict()) == list(theirs)
    assert last_linear(model)[0] == "network.fc"
