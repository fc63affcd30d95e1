"""Grad-CAM (Selvaraju et al., ICCV 2017): which places support the score of a class."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn

from negmerge.data.loading import Batch
from negmerge.errors import UserError
from negmerge.evaluation.accuracy import predict

# The number of classes that have an image in the figure.
CLASSES = 4


@dataclass(frozen=True)
class Maps:
    """The maps of some images by one network."""

    layer: str  # the layer's name in the network
    maps: Tensor  # (n, height, width) float32, from 0
    probability: Tensor  # (n,) float32, the predicted probability of the true class


@torch.no_grad()
def choose(
    network: nn.Module,
    head: Tensor | None,
    batches: Iterable[Batch],
    device: torch.device,
    classes: int = CLASSES,
) -> list[int]:
    """Choose the first right image of each of the first classes; classes without one come last."""
    network.eval()
    # By whether the image is right, by class: the place.
    first: dict[bool, dict[int, int]] = {True: {}, False: {}}
    start = 0
    for images, labels in batches:
        right = predict(network, head, images.to(device)).argmax(dim=1).cpu() == labels
        for place, label in enumerate(labels.tolist(), start):
            first[bool(right[place - start])].setdefault(label, place)
        start += len(labels)
        # Later images cannot change the choice.
        if all(number in first[True] for number in range(classes)):
            break
    wrong = [number for number in sorted(first[False]) if number not in first[True]]
    places = [first[True][number] for number in sorted(first[True])]
    return [*places, *(first[False][number] for number in wrong)][:classes]


def gradcam(network: nn.Module, head: Tensor | None, images: Tensor, labels: Tensor) -> Maps:
    """Map where the score of the true class comes from, at the network's last stage.

    A map is max(0, sum over channels of weight * activation); a channel's weight is the mean over
    all places of the derivative of the true class' logit. Maps have the resolution of the layer,
    and lie on the CPU. Network and head are as for `accuracy.predict`, images (n, 3, size, size)
    and labels (n,) int64 on the network's device. An unknown last stage is a UserError.
    """
    network.eval()
    stage = last_stage(network)
    with torch.no_grad():
        probability = predict(network, head, images).softmax(dim=1)
    with stage.as_grid() as grid:
        attribution = LayerGradCam(lambda batch: predict(network, head, batch), grid)
        maps = attribution.attribute(images, target=labels, relu_attributions=True)
    return Maps(
        stage.name,
        maps.detach().squeeze(1).cpu(),
        probability.gather(1, labels[:, None]).squeeze(1).cpu(),
    )


@dataclass(frozen=True)
class Stage:
    """A layer by its name in the network, and how its output is a grid."""

    name: str
    layer: nn.Module
    # From its output to (n, channels, height, width).
    to_grid: Callable[[Tensor], Tensor] = lambda output: output
    # From that, and the output that it was made of, back to the output's form.
    from_grid: Callable[[Tensor, Tensor], Tensor] = lambda grid, output: grid

    @contextmanager
    def as_grid(self) -> Iterator[nn.Module]:
        """Return a module whose output is the grid, and through which the network computes."""
        grid = nn.Identity()
        handle = self.layer.register_forward_hook(
            lambda _, __, output: self.from_grid(grid(self.to_grid(output)), output)
        )
        try:
            yield grid
        finally:
            handle.remove()


def last_stage(network: nn.Module) -> Stage:
    """Find the last stage of an image network, by the names of its parts."""
    parts = dict(network.named_modules())
    home = next((name for name in ("network", "visual") if name in parts), "")
    inner = parts[home]
    for part, find in STAGES.items():
        if f"{home}.{part}".lstrip(".") in parts:
            stage = find(inner)
            return replace(stage, name=f"{home}.{stage.name}".lstrip("."))
    raise UserError(
        f"gradcam: a network of type {type(inner).__name__} has no known last stage; known are "
        f"networks with {', '.join(STAGES)}"
    )


def _swin(network: nn.Module) -> Stage:
    """Find Swin's last stage, whose output has the channels last."""
    name = f"layers.{len(network.layers) - 1}"
    return Stage(
        name,
        network.get_submodule(name),
        lambda output: output.permute(0, 3, 1, 2),
        lambda grid, _: grid.permute(0, 2, 3, 1),
    )


def _open_clip(network: nn.Module) -> Stage:
    name = f"transformer.resblocks.{len(network.transformer.resblocks) - 1}.ln_1"
    return _tokens(network, name, network.grid_size)


def _timm(network: nn.Module) -> Stage:
    return _tokens(
        network, f"blocks.{len(network.blocks) - 1}.norm1", network.patch_embed.grid_size
    )


def _tokens(network: nn.Module, name: str, size: tuple[int, int]) -> Stage:
    """See tokens (n, tokens, width) as a grid; the class token, which comes first, stays out."""
    places = size[0] * size[1]

    def to_grid(output: Tensor) -> Tensor:
        return output[:, -places:].transpose(1, 2).unflatten(2, size)

    def from_grid(grid: Tensor, output: Tensor) -> Tensor:
        return torch.cat([output[:, :-places], grid.flatten(2).transpose(1, 2)], dim=1)

    return Stage(name, network.get_submodule(name), to_grid, from_grid)


# By the part that identifies the architecture.
STAGES: dict[str, Callable[[nn.Module], Stage]] = {
    "layer4": lambda network: Stage("layer4", network.layer4),
    "layer3": lambda network: Stage("layer3", network.layer3),  # ResNets for CIFAR-10
    "features": lambda network: Stage("features", network.features),
    "layers.0.blocks": _swin,
    "transformer.resblocks": _open_clip,
    "blocks.0.norm1": _timm,
}
