"""CLIP's image tower as a vision transformer (Dosovitskiy et al., 2021; Radford et al., 2021).

The one of open_clip, with its names of the tensors and, bit by bit, its results; but open_clip
takes seconds to import, and hundreds of jobs on small models do little else.
"""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

# What the names of its tensors begin with inside CLIP.
IMAGE_PREFIX = "visual."
# The settings of open_clip's `vision_cfg` that this tower has, all of them needed.
SETTINGS = {"image_size", "patch_size", "width", "layers", "head_width"}


def is_plain(architecture: object) -> bool:
    """Whether the image tower of an architecture is the one that `VisionTransformer` builds.

    Args:
        architecture: a configuration in open_clip's form, or a name.
    """
    if not isinstance(architecture, Mapping):
        return False
    vision = architecture.get("vision_cfg", {})
    return (
        architecture.keys() <= {"embed_dim", "vision_cfg", "text_cfg"}
        and vision.keys() == SETTINGS
        and all(type(value) is int for value in vision.values())
    )


class VisionTransformer(nn.Module):
    """From images (n, 3, side, side) to features (n, dimensions), with random weights.

    Args:
        dimensions: of the features.
        image_size: side of the images in pixels.
        patch_size: side of a patch in pixels; a multiple of it is `image_size`.
        width: numbers for each patch.
        layers: blocks.
        head_width: numbers for each head of attention.
    """

    def __init__(
        self,
        dimensions: int,
        image_size: int,
        patch_size: int,
        width: int,
        layers: int,
        head_width: int,
    ):
        super().__init__()
        side = image_size // patch_size
        self.grid_size = (side, side)
        scale = width**-0.5
        self.class_embedding = nn.Parameter(scale * torch.randn(width))
        self.positional_embedding = nn.Parameter(scale * torch.randn(side * side + 1, width))
        self.proj = nn.Parameter(scale * torch.randn(width, dimensions))
        self.conv1 = nn.Conv2d(3, width, patch_size, patch_size, bias=False)
        self.ln_pre = _LayerNorm(width)
        blocks = (_Block(width, width // head_width) for _ in range(layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*blocks)})
        self.ln_post = _LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images; the class token's output gives the features."""
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1).to(patches.dtype)
        tokens = torch.cat([first, patches], dim=1)
        tokens = self.ln_pre(tokens + self.positional_embedding.to(tokens.dtype))
        tokens = self.ln_post(self.transformer["resblocks"](tokens))
        return tokens[:, 0] @ self.proj


class _Block(nn.Module):
    """Attention and a perceptron, each with a way around it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1 = _LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = _LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width),
                gelu=nn.GELU(),
                c_proj=nn.Linear(4 * width, width),
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        seen = self.ln_1(tokens)
        tokens = tokens + self.attn(seen, seen, seen, need_weights=False)[0]
        return tokens + self.mlp(self.ln_2(tokens))


class _LayerNorm(nn.LayerNorm):
    """A layer normalisation whose output has the dtype of its input, in mixed precision as well."""

    def forward(self, tokens: Tensor) -> Tensor:
        return super().forward(tokens).to(tokens.dtype)
