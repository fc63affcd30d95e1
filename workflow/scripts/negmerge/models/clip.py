"""CLIP, cut into the image encoder, which forgets, also linearised, and the text part of the heads.

open_clip takes three seconds more to import than torch, and small models do without it.
"""

import textwrap
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from negmerge.checkpoints.states import State, require_same_tensors, shapes
from negmerge.errors import UserError, find

if TYPE_CHECKING:
    import open_clip

# What the names of the image tower's tensors begin with.
IMAGE_PREFIX = "visual."
# The settings of open_clip's `vision_cfg` that `VisionTransformer` has, all of them needed.
SETTINGS = {"image_size", "patch_size", "width", "layers", "head_width"}


class ImageEncoder(nn.Module):
    """CLIP's image tower with normalised features; its state has the names that open_clip gives."""

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.visual = tower

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (n, 3, size, size) as unit vectors (n, dimensions)."""
        return functional.normalize(self.visual(images), dim=-1)


def image_tower(row: Mapping) -> nn.Module:
    """Build the image tower of a row of `config/models.yaml`, with random weights."""
    architecture = row["architecture"]
    if is_plain(architecture):
        return VisionTransformer(architecture["embed_dim"], **architecture["vision_cfg"])
    return build_clip(row).visual


def image_encoder(
    row: Mapping,
    state: Mapping[str, Tensor],
    where: str,
    build: Callable[[nn.Module], ImageEncoder] = ImageEncoder,
) -> ImageEncoder:
    """Build the image encoder of a row with a state; `build` makes it of an image tower."""
    encoder = build(image_tower(row))
    require_same_tensors(shapes(encoder.state_dict()), shapes(state), where)
    encoder.load_state_dict(state)
    return encoder


def is_frozen(name: str, frozen: str) -> bool:
    """Whether fine-tuning freezes a tensor: `attention`, all its projections, or `nothing`."""
    return frozen == "attention" and ".attn." in name


def freeze(encoder: nn.Module, frozen: str) -> None:
    """Keep the tensors that `is_frozen` names out of training."""
    for name, parameter in encoder.named_parameters():
        parameter.requires_grad_(not is_frozen(name, frozen))


def build_clip(row: Mapping) -> "open_clip.CLIP":
    """Build the CLIP model of a row with random weights, on torch's default device."""
    import open_clip

    architecture = row["architecture"]
    if isinstance(architecture, str):
        find("architecture", architecture, dict.fromkeys(open_clip.list_models()))
        name, architecture = architecture, open_clip.get_model_config(architecture)
        foreign = {"custom_text", "multimodal_cfg"} & architecture.keys()
        if foreign or "hf_model_name" in architecture["text_cfg"]:
            raise UserError(f"architecture {name!r}: its text part is not CLIP's own")
    return open_clip.CLIP(**architecture)


def load_clip(row: Mapping, weights: str | Path) -> "open_clip.CLIP":
    """Build the CLIP model of a row with the weights of others in a file."""
    import open_clip

    clip = build_clip(row)
    try:
        open_clip.load_checkpoint(clip, str(weights), weights_only=True)
    except Exception as error:  # Each form of file, and each mistake in one, has its own.
        reason = textwrap.shorten(str(error), 300)
        raise UserError(f"{weights}: not the weights of {row['architecture']}: {reason}") from error
    return clip


def complete_clip(
    row: Mapping, given: Mapping[str, Tensor], weights: str | Path | None, where: str | Path
) -> "open_clip.CLIP":
    """Build the CLIP model of a row with given tensors; the file `weights` has the rest, if any."""
    clip = build_clip(row) if weights is None else load_clip(row, weights)
    _, rest = split_state(clip)
    state = given if weights is None else rest | given
    require_same_tensors(shapes(clip.state_dict()), shapes(state), where)
    clip.load_state_dict(state)
    return clip


def split_state(clip: "open_clip.CLIP") -> tuple[State, State]:
    """Cut a model's state into that of the image encoder and the rest."""
    state = {name: tensor.detach() for name, tensor in clip.state_dict().items()}
    image = {name: tensor for name, tensor in state.items() if name.startswith(IMAGE_PREFIX)}
    return image, {name: tensor for name, tensor in state.items() if name not in image}


def text_model(row: Mapping, state: Mapping[str, Tensor], where: str) -> "open_clip.CLIP":
    """Build a CLIP model with the given weights of the text part; its image tower is random."""
    clip = build_clip(row)
    require_same_tensors(shapes(split_state(clip)[1]), shapes(state), where)
    clip.load_state_dict(state, strict=False)
    return clip.eval()


@cache
def _tokenizer(context_length: int) -> "open_clip.SimpleTokenizer":
    # Reading the vocabulary takes longer than encoding the prompts of a class.
    import open_clip

    return open_clip.SimpleTokenizer(context_length=context_length)


@torch.no_grad()
def encode_prompts(clip: "open_clip.CLIP", prompts: list[str]) -> Tensor:
    """Encode prompts as unit vectors (prompts, dimensions)."""
    tokens = _tokenizer(clip.context_length)(prompts)
    return clip.encode_text(tokens.to(clip.text_projection.device), normalize=True)


def combine_prompts(text_embeddings: Tensor, logit_scale: Tensor) -> Tensor:
    """Make the head (classes, dimensions) of embeddings (classes, templates, dimensions).

    Normalised, averaged over the templates, normalised again and times exp(logit_scale), as in
    mlfoundations/task_vectors.
    """
    mean = functional.normalize(text_embeddings, dim=-1).mean(dim=1)
    return functional.normalize(mean, dim=-1) * logit_scale.exp()


def fill(templates: Sequence[str], class_name: str) -> list[str]:
    """Put a class name into each template, at its `{}`."""
    return [template.replace("{}", class_name) for template in templates]


@torch.no_grad()
def zero_shot_head(
    clip: "open_clip.CLIP", classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Build the head (classes, dimensions) of a data set from its class names and templates."""
    embeddings = torch.stack([encode_prompts(clip, fill(templates, name)) for name in classes])
    return combine_prompts(embeddings, clip.logit_scale)


def is_plain(architecture: object) -> bool:
    """Whether the image tower of an architecture is the one that `VisionTransformer` builds."""
    if not isinstance(architecture, Mapping):
        return False
    vision = architecture.get("vision_cfg", {})
    return (
        architecture.keys() <= {"embed_dim", "vision_cfg", "text_cfg"}
        and vision.keys() == SETTINGS
        and all(type(value) is int for value in vision.values())
    )


class VisionTransformer(nn.Module):
    """A vision transformer with the names and, in float32, the bits of open_clip's tower."""

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
        self.ln_pre = nn.LayerNorm(width)
        blocks = (_Block(width, width // head_width) for _ in range(layers))
        self.transformer = nn.ModuleDict({"resblocks": nn.Sequential(*blocks)})
        self.ln_post = nn.LayerNorm(width)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images; the class token's output gives the features."""
        patches = self.conv1(images).flatten(2).transpose(1, 2)
        first = self.class_embedding.expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches], dim=1)
        tokens = self.ln_pre(tokens + self.positional_embedding)
        tokens = self.ln_post(self.transformer["resblocks"](tokens))
        return tokens[:, 0] @ self.proj


class _Block(nn.Module):
    """Attention and a perceptron, each with a way around it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width), gelu=nn.GELU(), c_proj=nn.Linear(4 * width, width)
            )
        )

    def forward(self, tokens: Tensor) -> Tensor:
        normed = self.ln_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False)[0]
        return tokens + self.mlp(self.ln_2(tokens))


def linearised(network: nn.Module, base: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
    """Compute f(base) + J (weights - base) by one forward-mode product; J is f's slope there."""
    change = {name: weight - base[name] for name, weight in network.named_parameters()}
    # One implementation of attention alone has a forward-mode derivative.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            value, slope = jvp(
                lambda weights: functional_call(network, weights, (inputs,)),
                (dict(base),),
                (change,),
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return value + slope


class TangentEncoder(ImageEncoder):
    """CLIP's image tower, linearised at `base`; its state has the names of `ImageEncoder`'s."""

    def __init__(self, tower: nn.Module, base: State):
        super().__init__(tower)
        self._names = [name for name, _ in self.visual.named_parameters()]
        for number, name in enumerate(self._names):
            # Buffers move to a device with the model; they are not in its state.
            self.register_buffer(f"base{number}", base[IMAGE_PREFIX + name], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (n, 3, size, size) as unit vectors (n, dimensions)."""
        base = {name: getattr(self, f"base{place}") for place, name in enumerate(self._names)}
        return functional.normalize(linearised(self.visual, base, images), dim=-1)

    def train(self, mode: bool = True) -> "TangentEncoder":
        """Stay in eval mode, in which the derivative is meant."""
        return super().train(False)
