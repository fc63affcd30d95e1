"""Image classifiers that unlearn, with their normalisation: of papers, libraries and users."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from negmerge.checkpoints.states import require_same_tensors, shapes
from negmerge.errors import UserError, find, unknown
from negmerge.models.devices import channels_last
from negmerge.models.own_code import from_factory, from_torch_hub
from negmerge.settings import own_code

SWIN = "swin_tiny_patch4_window7_224"
# While they train, these of torchvision also give the logits of layers in between.
WITH_MORE_OUTPUTS = ("googlenet", "inception_v3")
# VGG-16's convolutions by stage. There is a pooling between two stages, none after the last.
VGG16 = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class Normalisation(nn.Module):
    """Brings intensities in 0..1 to mean 0 and deviation 1; it is not in the model's state."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            channels = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, channels, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class _Block(nn.Module):
    """Two convolutions, and a way around them (He et al., 2016), with torchvision's names."""

    def __init__(self, inputs: int, width: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or inputs != width:
            shortcut = nn.Conv2d(inputs, width, kernel_size=1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(width))

    def forward(self, images: Tensor) -> Tensor:
        outputs = self.relu(self.bn1(self.conv1(images)))
        outputs = self.bn2(self.conv2(outputs))
        outputs += images if self.downsample is None else self.downsample(images)
        return self.relu(outputs)


def _resnet18(classes: int, size: int, width: int = 64) -> nn.Module:
    """Build SalUn's ResNet-18: torchvision's with a 3x3 stem and no max-pooling."""
    layers = OrderedDict(
        conv1=nn.Conv2d(3, width, kernel_size=3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(width),
        relu=nn.ReLU(inplace=True),
        layer1=nn.Sequential(_Block(width, width), _Block(width, width)),
    )
    for stage in (2, 3, 4):
        first = _Block(width, 2 * width, stride=2)
        width *= 2
        layers[f"layer{stage}"] = nn.Sequential(first, _Block(width, width))
    layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
    layers["flatten"] = nn.Flatten()
    layers["fc"] = nn.Linear(width, classes)
    return _initialise(nn.Sequential(layers))


def _vgg16_bn(classes: int, size: int, variant: str = "salun") -> nn.Module:
    """Build VGG-16 with batch normalisation, of SalUn's code, for images from 16 pixels wide.

    `salun` is `vgg16_bn` there, `lth` is `vgg16_bn_lth`; which of them the papers used is not
    known.
    """
    lth = find("variant of vgg16-bn", variant, {"salun": False, "lth": True})
    features, inputs = [], 3
    for number, stage in enumerate(VGG16):
        if number:
            features.append(nn.MaxPool2d(kernel_size=2, stride=2))
        for channels in stage:
            features.append(nn.Conv2d(inputs, channels, kernel_size=3, padding=1, bias=lth))
            features += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
            inputs = channels
    layers = OrderedDict(
        features=nn.Sequential(*features),
        avgpool=nn.AdaptiveAvgPool2d(1 if lth else 2),
        flatten=nn.Flatten(),
    )
    network = _initialise(nn.Sequential(layers))
    if lth:
        head = nn.Linear(inputs, classes)
    else:
        head = nn.Sequential(
            nn.Linear(inputs * 2 * 2, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, classes),
        )
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)  # as there and in torchvision
            nn.init.zeros_(module.bias)
    network.add_module("classifier", head)
    return network


def _initialise(network: nn.Module) -> nn.Module:
    """Draw the convolutions from Kaiming's normal distribution; their biases start at 0."""
    for module in network.modules():
        # Without numbers there is nothing to draw, and torch would import its compiler for it.
        if isinstance(module, nn.Conv2d) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def _swin_t(classes: int, size: int, weights: Path | None = None) -> nn.Module:
    # timm fits the relative positions of trained weights to the size.
    return _timm(classes, size, SWIN, weights, img_size=size)


def _timm(
    classes: int, size: int, name: str, weights: Path | None = None, **options: object
) -> nn.Module:
    # Here, since timm takes seconds to import and the other kinds do without it.
    import timm

    find("model of timm", name, dict.fromkeys(timm.list_models()))
    if weights is not None:
        options |= {"pretrained": True, "pretrained_cfg_overlay": {"file": str(weights)}}
    return timm.create_model(name, num_classes=classes, **options)


def _torchvision(classes: int, size: int, name: str) -> nn.Module:
    # Here, as timm.
    from torchvision import models

    known = set(models.list_models(module=models)) - set(WITH_MORE_OUTPUTS)
    find("classifier of torchvision", name, dict.fromkeys(sorted(known)))
    return models.get_model(name, weights=None, num_classes=classes)


# By kind: from classes, size and options to a network, and its options.
KINDS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "resnet18": (_resnet18, ("width",)),
    "vgg16-bn": (_vgg16_bn, ("variant",)),
    "swin-t": (_swin_t, ("pretrained",)),
    "timm": (_timm, ("name", "pretrained")),
    "torchvision": (_torchvision, ("name",)),
    own_code.FACTORY: (from_factory, ("name", "options", "digest")),
    own_code.TORCH_HUB: (from_torch_hub, ("repository", "name", "options", "digest")),
}


def build_classifier(
    row: Mapping, classes: int | None, weights: Path | None = None
) -> nn.Sequential:
    """Build the classifier of a row with new weights, of images (n, 3, size, size) in 0..1.

    Where the row's `architecture` has `pretrained`, timm's file `weights` is where it starts. The
    weights of ResNet and VGG lie channels last, which is faster on a CPU; so `Tensor.view` fails on
    them. With None as `classes`, a network of one's own code has as many outputs as it likes.
    """
    options = dict(row["architecture"])
    kind = options.pop("kind", None)
    build, known = find("kind of classifier", kind, KINDS)
    for name in options:
        if name not in known:
            raise UserError(unknown(f"option of {kind}", name, known))
    if options.pop("pretrained", False):
        options["weights"] = weights
    network = build(classes, row["size"], **options)
    # Swin has layer normalisation instead; code of one's own has been tried.
    if kind not in own_code.KINDS and any(
        isinstance(module, nn.BatchNorm2d) for module in network.modules()
    ):
        channels_last(network)
    return nn.Sequential(
        OrderedDict(normalisation=Normalisation(row["mean"], row["std"]), network=network)
    )


def load_classifier(row: Mapping, state: Mapping[str, Tensor], where: str) -> nn.Sequential:
    """Build the classifier of a row with a state, and as many outputs as that has."""
    if row["architecture"]["kind"] in own_code.KINDS:
        model = build_classifier(row, None)
        _widen(model, state)
    else:
        with torch.device("meta"):
            name, _ = last_linear(build_classifier(row, 1))
        weight = state.get(f"{name}.weight")
        classes = len(weight) if weight is not None and weight.ndim == 2 else 1
        model = build_classifier(row, max(classes, 1))
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model


def _widen(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give the last linear layer as many outputs as its weight in a state has rows."""
    layers = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    name = list(layers)[-1] if layers else ""
    weight = state.get(f"{name}.weight")
    if weight is not None and weight.ndim == 2 and len(weight) != layers[name].out_features:
        outer, _, inner = name.rpartition(".")
        has_bias = layers[name].bias is not None
        wider = nn.Linear(layers[name].in_features, len(weight), bias=has_bias)
        setattr(model.get_submodule(outer), inner, wider)


def last_linear(model: nn.Module) -> tuple[str, nn.Linear]:
    """Find the layer that gives the logits: the last linear one, and its name in the model."""
    layers = [
        (name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)
    ]
    if not layers:
        kind = type(getattr(model, "network", model)).__name__
        raise UserError(
            f"a network of type {kind} has no layer torch.nn.Linear, which this method takes for "
            "the one that computes the logits"
        )
    return layers[-1]


@torch.no_grad()
def re_estimate(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: torch.device
) -> None:
    """Replace running means and variances by averages over batches, each of which counts alike."""
    layers = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for images, _ in batches:
        network(images.to(device))
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
        layer.eval()
