"""The names of the tensors of a released encoder, and what they are called in open_clip.

The authors' attention has Q, K, V and O as layers of their own. Their encoder holds CLIP without
its text tower, but with what surrounds that tower: six tensors that no image reaches.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from negmerge.checkpoints.states import State
from negmerge.errors import UserError

PREFIX, IMAGE_PREFIX = "model.", "visual."
BEFORE = (
    *("positional_embedding", "text_projection", "logit_scale"),
    *("visual.class_embedding", "visual.positional_embedding", "visual.proj"),
    *("visual.conv1.weight", "visual.ln_pre.weight", "visual.ln_pre.bias"),
)
BLOCK = ("ln_1", "attn.Q", "attn.K", "attn.V", "attn.O", "ln_2", "mlp.c_fc", "mlp.c_proj")
AFTER = (
    *("visual.ln_post.weight", "visual.ln_post.bias"),
    *("token_embedding.weight", "ln_final.weight", "ln_final.bias"),
)
JOINED = ("Q", "K", "V")


def names_in_order(count: int, where: str | Path) -> list[str]:
    """List the tensors of a released encoder in its order, by which a linear file numbers them."""
    blocks, rest = divmod(count - len(BEFORE) - len(AFTER), 2 * len(BLOCK))
    if rest or blocks < 1:
        raise UserError(f"{where}: {count} tensors, expected 14 and 16 for each block, such as 206")
    inner = [
        f"visual.transformer.resblocks.{block}.{layer}.{kind}"
        for block in range(blocks)
        for layer in BLOCK
        for kind in ("weight", "bias")
    ]
    return [PREFIX + name for name in (*BEFORE, *inner, *AFTER)]


def to_open_clip(tensors: Mapping[str, Tensor], where: str | Path) -> tuple[State, State]:
    """Rename the tensors of a released encoder, with Q, K and V joined in this order.

    Returns the image encoder, `visual.*`, and the leftovers of the text part.
    """
    image: State = {}
    text: State = {}
    for released, tensor in tensors.items():
        if not released.startswith(PREFIX):
            raise UserError(f"{where}: tensor {released!r} is not expected, names begin {PREFIX!r}")
        name = released.removeprefix(PREFIX)
        stem, attention, layer = name.partition(".attn.")
        if not name.startswith(IMAGE_PREFIX):
            text[name] = tensor
        elif not attention or layer.startswith(("in_proj_", "out_proj.")):
            image[name] = tensor
        elif layer.startswith("O."):
            image[f"{stem}.attn.out_proj.{layer[2:]}"] = tensor
        elif layer in {f"{letter}.{kind}" for letter in JOINED for kind in ("weight", "bias")}:
            kind = layer.partition(".")[2]
            joined = f"{stem}.attn.in_proj_{kind}"
            if joined not in image:
                image[joined] = _joined(tensors, stem, kind, where)
        else:
            raise UserError(f"{where}: tensor {released!r} is not expected")
    if not image:
        raise UserError(f"{where}: has no tensor of an image encoder, {PREFIX}{IMAGE_PREFIX}*")
    return image, text


def _joined(tensors: Mapping[str, Tensor], stem: str, kind: str, where: str | Path) -> Tensor:
    """Stack the rows of Q, K and V."""
    names = [f"{PREFIX}{stem}.attn.{letter}.{kind}" for letter in JOINED]
    for name in names:
        if name not in tensors:
            raise UserError(f"{where}: tensor {name!r} is missing")
        if tensors[name].shape != tensors[names[0]].shape:
            raise UserError(
                f"{where}: tensor {name!r} has shape {list(tensors[name].shape)}, expected "
                f"{list(tensors[names[0]].shape)} as {names[0]!r}"
            )
    return torch.cat([tensors[name] for name in names])
