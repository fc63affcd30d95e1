"""Where Grad-CAM looks: the last stage of a network, seen as a grid of places."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from negmerge.errors import UserError


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
    """Find the last stage of an image network, by the names of its parts.

    ResNet: `layer4`; VGG: `features`; Swin of timm: the last of `layers`; vision transformers of
    open_clip and timm: the first norm of the last block, since what follows it no longer mixes
    places. A classifier's network may follow a normalisation, and CLIP's image tower may be in an
    encoder.
    """
    parts = dict(network.named_modules())
    home = next((name for name in ("network", "visual") if name in parts), "")
    inner = parts[home]
    for part, find in PARTS.items():
        if f"{home}.{part}".lstrip(".") in parts:
            stage = find(inner)
            return replace(stage, name=f"{home}.{stage.name}".lstrip("."))
    raise UserError(
        f"gradcam: a network of type {type(inner).__name__} has no known last stage; known are "
        f"networks with {', '.join(PARTS)}"
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
    name = f"blocks.{len(network.blocks) - 1}.norm1"
    return _tokens(network, name, network.patch_embed.grid_size)


def _tokens(network: nn.Module, name: str, size: tuple[int, int]) -> Stage:
    """See tokens (n, tokens, width) as a grid; the class token, which comes first, stays out."""
    places = size[0] * size[1]

    def to_grid(output: Tensor) -> Tensor:
        return output[:, -places:].transpose(1, 2).unflatten(2, size)

    def from_grid(grid: Tensor, output: Tensor) -> Tensor:
        return torch.cat([output[:, :-places], grid.flatten(2).transpose(1, 2)], dim=1)

    return Stage(name, network.get_submodule(name), to_grid, from_grid)


# By the part that identifies the architecture.
PARTS: dict[str, Callable[[nn.Module], Stage]] = {
    "layer4": lambda network: Stage("layer4", network.layer4),
    "features": lambda network: Stage("features", network.features),
    "layers.0.blocks": _swin,
    "transformer.resblocks": _open_clip,
    "blocks.0.norm1": _timm,
}
