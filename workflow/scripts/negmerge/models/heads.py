"""Zero-shot heads: a linear classifier made of class names.

Those of `open_clip.build_zero_shot_classifier` differ in the last bits, and lack the scale.
"""

from collections.abc import Sequence

import open_clip
import torch
from torch import Tensor
from torch.nn import functional

from negmerge.data.prompts import fill
from negmerge.models.clip import encode_prompts


def combine_prompts(text_embeddings: Tensor, logit_scale: Tensor) -> Tensor:
    """Make the rows of a head from the embeddings of its prompts.

    Each embedding is normalised, then averaged over the templates, normalised again and multiplied
    by exp(logit_scale). As in mlfoundations/task_vectors.

    Args:
        text_embeddings: (classes, templates, dimensions).
        logit_scale: scalar, CLIP's log temperature.

    Returns:
        (classes, dimensions); the logits of unit image features are features @ head.T.
    """
    mean = functional.normalize(text_embeddings, dim=-1).mean(dim=1)
    return functional.normalize(mean, dim=-1) * logit_scale.exp()


@torch.no_grad()
def zero_shot_head(
    clip: open_clip.CLIP, classes: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Build the head (classes, dimensions) of a data set from its class names and templates."""
    embeddings = torch.stack([encode_prompts(clip, fill(templates, name)) for name in classes])
    return combine_prompts(embeddings, clip.logit_scale)
