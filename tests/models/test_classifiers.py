import pytest
import timm
import torch
from torch import nn
from torchvision import models

from negmerge.checkpoints.states import read_state, shapes, write_state
from negmerge.errors import UserError
from negmerge.models.classifiers import (
    Normalisation,
    build_classifier,
    last_linear,
    load_classifier,
)

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


@pytest.fixture(scope="module", params=ROWS)
def trained(request):
    """A row and its model with statistics that are not those of a new one."""
    torch.manual_seed(0)
    chosen = ROWS[request.param]
    model = build_classifier(chosen, 10)
    model(images(4, chosen["size"]))
    return chosen, model.eval()


def test_resnet18_is_torchvision_s_with_another_stem():
    model = build_classifier(row(), 10).eval()
    assert count(model) == 11_173_962
    other = models.resnet18(num_classes=10).eval()
    other.conv1 = nn.Conv2d(3, 64, kernel_size=3, padding=1, bias=False)
    other.maxpool = nn.Identity()
    network = model.network
    assert list(network.state_dict()) == list(other.state_dict())
    other.load_state_dict(network.state_dict())
    batch = images()
    with torch.no_grad():
        normalised = Normalisation(MEAN, STD)(batch)
        torch.testing.assert_close(model(batch), other(normalised), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("variant", "expected"), [("salun", 15_311_818), ("lth", 14_728_266)])
def test_vgg16_has_the_shapes_of_the_literature(variant, expected):
    model = build_classifier(row("vgg16-bn", variant=variant), 10)
    assert count(model) == expected
    linears = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert len(linears) == (3 if variant == "salun" else 1)
    assert not any(isinstance(module, nn.Dropout) for module in model.modules())
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 13
    assert all((one.bias is not None) == (variant == "lth") for one in convolutions)


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


def test_the_last_linear_layer_gives_the_logits_and_may_have_one_more(trained):
    chosen, model = trained
    name, layer = last_linear(model)
    state = dict(model.state_dict())
    for key, last in (("weight", layer.weight[:1]), ("bias", layer.bias[:1] + 1)):
        state[f"{name}.{key}"] = torch.cat([state[f"{name}.{key}"], last.detach()])
    wider = load_classifier(chosen, state, "x.safetensors").eval()
    batch = images(3, chosen["size"])
    with torch.no_grad():
        logits = wider(batch)
        assert logits.shape == (3, layer.out_features + 1)
        torch.testing.assert_close(logits[:, :-1], model(batch))
        torch.testing.assert_close(logits[:, -1], logits[:, 0] + 1)


@pytest.mark.parametrize(
    ("chosen", "expected"), [(SMALL, True), (row("vgg16-bn"), True), (row(width=7), False)]
)
def test_convolutions_lie_channels_last_unless_one_is_too_narrow(chosen, expected):
    layers = [m for m in build_classifier(chosen, 10).modules() if isinstance(m, nn.Conv2d)]
    last = [m.weight.is_contiguous(memory_format=torch.channels_last) for m in layers]
    assert all(last) == expected


def test_the_state_of_another_model_is_refused():
    state = build_classifier(SMALL, 10).state_dict()
    head = "network.fc.weight"
    for changed, message in (
        ({n: t for n, t in state.items() if n != head}, r" is missing \(1 in all\)"),
        (state | {head: torch.zeros(10, 9)}, r" has shape \[10, 9\], expected \[10, 64\]"),
        (state | {head: torch.zeros(9)}, r" has shape \[9\], expected \[1, 64\]"),
    ):
        with pytest.raises(UserError, match=f"^x: tensor '{head}'{message}$"):
            load_classifier(SMALL, changed, "x")


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ({"kind": "resnet"}, "unknown kind of classifier 'resnet'; did you mean 'resnet18'?"),
        ({"kind": "resnet18", "widht": 8}, "unknown option of resnet18 'widht'; did you mean"),
        # Its outputs are more than logits.
        ({"kind": "torchvision", "name": "googlenet"}, "unknown classifier of torchvision 'google"),
    ],
)
def test_a_wrong_row_is_refused(architecture, message):
    with pytest.raises(UserError) as caught:
        build_classifier(row() | {"architecture": architecture}, 10)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "name", "make"),
    [
        ("timm", "resnet10t", timm.create_model),
        ("torchvision", "shufflenet_v2_x0_5", models.get_model),
    ],
)
def test_other_models_come_from_timm_and_torchvision(kind, name, make):
    model = build_classifier(row(kind, name=name), 7).eval()
    assert model(images()).shape == (3, 7)
    assert shapes(model.network.state_dict()) == shapes(make(name, num_classes=7).state_dict())
    assert last_linear(model)[0] == "network.fc"
