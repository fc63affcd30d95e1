"""CLIP's image encoder, the part that forgets."""

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn import functional

from negmerge.checkpoints.checks import require_same_tensors
from negmerge.checkpoints.states import shapes
from negmerge.models.vision_transformer import VisionTransformer, is_plain


class ImageEncoder(nn.Module):
    """CLIP's image tower with normalised features.

    The state has the names that it has inside CLIP, `visual.*`, so a file of it can be loaded into
    an open_clip model.

    Args:
        tower: gives features (n, dimensions) of images.
    """

    def __init__(self, tower: nn.Module):
        super().__init__()
        self.visual = tower

    def forward(self, images: Tensor) -> Tensor:
        """Encode images (n, 3, size, size) as unit vectors (n, dimensions)."""
        return functional.normalize(self.visual(images), dim=-1)


def image_tower(row: Mapping) -> nn.Module:
    """Build the image tower of a model with random weights.

    Args:
        row: as for `clip.build_clip`.

    Raises:
        UserError: as `clip.build_clip`.
    """
    architecture = row["architecture"]
    if is_plain(architecture):
        return VisionTransformer(architecture["embed_dim"], **architecture["vision_cfg"])
    # Here, since open_clip takes seconds to import.
    from negmerge.models.clip import build_clip

    return build_clip(row).visual


def image_encoder(
    row: Mapping,
    state: Mapping[str, Tensor],
    where: str,
    build: Callable[[nn.Module], ImageEncoder] = ImageEncoder,
) -> ImageEncoder:
    """Build the image encoder with the given weights.

    Args:
        row: as for `clip.build_clip`.
        state: the weights.
        where: what errors call them.
        build: makes the encoder of an image tower.

    Raises:
        UserError: `state` is that of another model.
    """
    encoder = build(image_tower(row))
    require_same_tensors(shapes(encoder.state_dict()), shapes(state), where)
    encoder.load_state_dict(state)
    return encoder
