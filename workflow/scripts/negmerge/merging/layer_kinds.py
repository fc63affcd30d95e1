"""Kinds of layers, by the names that model libraries give to their tensors."""

import re
from collections.abc import Sequence

CONVOLUTION = "convolution"
# The first that is found in a name, in lower case, is the tensor's kind. The names are those of
# transformers, open_clip, timm, torchvision and diffusers.
PATTERNS = {
    "norm": r"norm|(^|\.)(ln|bn)[_\d]",
    "bias": r"bias$",
    "embedding": r"emb|(^|\.)(wte|wpe|cls_token|shared)(\.|$)",
    "head": r"(^|\.)(lm_head|heads?|classifier|score|\w+_projection|visual\.proj)(\.|$)|^fc\.",
    "attention": r"att|(^|\.)(q|k|v|o|qkv|query|key|value|[qkvo]_proj|in_proj_weight)(\.|$)",
    CONVOLUTION: r"conv",
    "mlp": r"mlp|ffn|feed_?forward|intermediate|dense|expert"
    r"|(^|\.)(c_fc|c_proj|w[123io]|wi_[01]|fc\d|lin(ear)?_?\d|(gate|up|down)_proj)(\.|$)",
}
# Filters have a height, a width or a length beside the channels.
FILTER_AXES = 3


def kind(name: str, shape: Sequence[int]) -> str:
    """Return the kind of a tensor by its name.

    A tensor whose name tells nothing is a convolution if it has the axes of one; else its kind is
    the last part of its name.
    """
    lower = name.lower()
    found = next((kind for kind, pattern in PATTERNS.items() if re.search(pattern, lower)), None)
    return found or (CONVOLUTION if len(shape) >= FILTER_AXES else name.rpartition(".")[2])
