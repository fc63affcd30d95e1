"""CLIP by open_clip, cut into the image encoder and the text part that makes the heads."""

import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import open_clip
import torch
from torch import Tensor

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import State, shapes
from negmerge.errors import UserError, find
from negmerge.models.vision_transformer import IMAGE_PREFIX


def build_clip(row: Mapping) -> open_clip.CLIP:
    """Build a CLIP model with random weights, on torch's default device.

    It is built from its configuration: `open_clip.create_model` warns of random weights each time.

    Args:
        row: a row of `config/models.yaml`; its `architecture` is a name of open_clip or a
            configuration in open_clip's form.

    Raises:
        UserError: open_clip has no architecture of that name, or its text part is not CLIP's own.
    """
    architecture = row["architecture"]
    if isinstance(architecture, str):
        find("architecture", architecture, dict.fromkeys(open_clip.list_models()))
        name, architecture = architecture, open_clip.get_model_config(architecture)
        foreign = {"custom_text", "multimodal_cfg"} & architecture.keys()
        if foreign or "hf_model_name" in architecture["text_cfg"]:
            raise UserError(f"architecture {name!r}: its text part is not CLIP's own")
    return open_clip.CLIP(**architecture)


def load_clip(row: Mapping, weights: str | Path) -> open_clip.CLIP:
    """Build a CLIP model with weights that others have trained.

    Args:
        row: as for `build_clip`. The OpenAI weights need QuickGELU, which no file says: the rows
            name the `-quickgelu` architectures.
        weights: a file of tensors by open_clip's names, in the form of safetensors or of torch.

    Raises:
        UserError: the file holds something else, or tensors of another model.
    """
    clip = build_clip(row)
    try:
        open_clip.load_checkpoint(clip, str(weights), weights_only=True)
    except Exception as error:  # Each form of file, and each mistake in one, has its own.
        reason = textwrap.shorten(str(error), 300)
        raise UserError(f"{weights}: not the weights of {row['architecture']}: {reason}") from error
    return clip


def complete_clip(
    row: Mapping, given: Mapping[str, Tensor], weights: str | Path | None, where: str | Path
) -> open_clip.CLIP:
    """Build a CLIP model with weights of others, of which the text part may be elsewhere.

    Args:
        row: as for `build_clip`.
        given: tensors by open_clip's names: those of the image encoder, and any of the text part.
        weights: a file as for `load_clip`, which has what is left out; None: nothing is.
        where: what errors call the given ones.

    Raises:
        UserError: a tensor of another model, or one that is nowhere.
    """
    clip = build_clip(row) if weights is None else load_clip(row, weights)
    _, rest = split_state(clip)
    found = given if weights is None else rest | given
    require_same_tensors(shapes(clip.state_dict()), shapes(found), where)
    clip.load_state_dict(found)
    return clip


def split_state(clip: open_clip.CLIP) -> tuple[State, State]:
    """Cut a model's state into that of the image encoder and the rest."""
    state = {name: tensor.detach() for name, tensor in clip.state_dict().items()}
    image = {name: tensor for name, tensor in state.items() if name.startswith(IMAGE_PREFIX)}
    return image, {name: tensor for name, tensor in state.items() if name not in image}


def text_model(row: Mapping, state: Mapping[str, Tensor], where: str) -> open_clip.CLIP:
    """Build a CLIP model with the given weights of the text part; its image tower is random.

    Raises:
        UserError: `state`, which errors call `where`, is that of another model.
    """
    clip = build_clip(row)
    require_same_tensors(shapes(split_state(clip)[1]), shapes(state), where)
    clip.load_state_dict(state, strict=False)
    return clip.eval()


@cache
def _tokenizer(context_length: int) -> open_clip.SimpleTokenizer:
    # Reading the vocabulary takes longer than encoding the prompts of a class.
    return open_clip.SimpleTokenizer(context_length=context_length)


@torch.no_grad()
def encode_prompts(clip: open_clip.CLIP, prompts: list[str]) -> Tensor:
    """Encode prompts as unit vectors (prompts, dimensions)."""
    tokens = _tokenizer(clip.context_length)(prompts)
    return clip.encode_text(tokens.to(clip.text_projection.device), normalize=True)
