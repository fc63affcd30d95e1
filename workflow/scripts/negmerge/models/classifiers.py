"""Image classifiers that unlearn, with their input normalisation: of papers, timm, torchvision."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import shapes
from negmerge.errors import UserError, find, unknown
from negmerge.models.convolutional import resnet18, vgg16_bn
from negmerge.models.devices import channels_last
from negmerge.models.last_linear import last_linear

SWIN = "swin_tiny_patch4_window7_224"
# While they train, these of torchvision also give the logits of layers in between.
WITH_MORE_OUTPUTS = ("googlenet", "inception_v3")


class Normalisation(nn.Module):
    """Brings intensities in 0..1 to the mean 0 and the standard deviation 1 of each channel.

    In SalUn's code these six numbers are float buffers of the model's state. Here they belong to
    the model's row and not to its state, so that no vector ever holds them.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        for name, values in (("mean", mean), ("std", std)):
            channels = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1)
            self.register_buffer(name, channels, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Normalise images (n, 3, height, width)."""
        return (images - self.mean) / self.std


def _resnet18(classes: int, size: int, width: int = 64) -> nn.Module:
    if isinstance(width, bool) or not isinstance(width, int) or width < 1:
        raise UserError(f"resnet18: width is {width!r}, expected a whole number from 1")
    return resnet18(classes, width)


def _vgg16_bn(classes: int, size: int, variant: str = "salun") -> nn.Module:
    find("variant of vgg16-bn", variant, dict.fromkeys(("salun", "lth")))
    return vgg16_bn(classes, variant)


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

    known = [one for one in models.list_models(module=models) if one not in WITH_MORE_OUTPUTS]
    find("classifier of torchvision", name, dict.fromkeys(known))
    return models.get_model(name, weights=None, num_classes=classes)


# By kind: from classes, size and options to a network, and its options.
KINDS: dict[str, tuple[Callable[..., nn.Module], tuple[str, ...]]] = {
    "resnet18": (_resnet18, ("width",)),
    "vgg16-bn": (_vgg16_bn, ("variant",)),
    "swin-t": (_swin_t, ("pretrained",)),
    "timm": (_timm, ("name", "pretrained")),
    "torchvision": (_torchvision, ("name",)),
}


def build_classifier(row: Mapping, classes: int, weights: Path | None = None) -> nn.Sequential:
    """Build a classifier with new weights, on torch's default device.

    The weights of ResNet and VGG are in memory channels last, which makes their convolutions
    faster on a CPU, unless a layer is too narrow for that; see `devices.channels_last`. Shapes and
    the order of the numbers are unchanged, and files hold the standard layout; only `Tensor.view`
    fails on them, so flatten them by `flatten`.

    Args:
        row: `architecture` (its `kind`, one of `KINDS`, and the kind's options), `mean` and `std`
            of the three channels, and `size`, the side of the images in pixels.
        classes: number of outputs.
        weights: where `pretrained` is set, a file of timm's weights to start from, whose last layer
            is not taken if it has another number of outputs; without a file, all are random.

    Returns:
        A model from images (n, 3, size, size) float32 in 0..1 to logits (n, classes). Its state
        has the names of the network behind `network.`; the normalisation is not in it.

    Raises:
        UserError: an unknown kind or option, or a value that the kind does not have.
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
    # Swin has layer normalisation instead.
    if any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        channels_last(network)
    return nn.Sequential(
        OrderedDict(normalisation=Normalisation(row["mean"], row["std"]), network=network)
    )


def load_classifier(row: Mapping, state: Mapping[str, Tensor], where: str) -> nn.Sequential:
    """Build a classifier with the given weights, with as many outputs as they have.

    The number is read from the state, since Boundary Expanding adds an output.

    Args:
        row: as for `build_classifier`.
        state: the weights, and the statistics of batch normalisation.
        where: what errors call the state.

    Raises:
        UserError: the state is that of another model.
    """
    with torch.device("meta"):
        name, _ = last_linear(build_classifier(row, 1))
    weight = state.get(f"{name}.weight")
    classes = len(weight) if weight is not None and weight.ndim == 2 else 1
    model = build_classifier(row, max(classes, 1))
    require_same_tensors(shapes(model.state_dict()), shapes(state), where)
    model.load_state_dict(state)
    return model
