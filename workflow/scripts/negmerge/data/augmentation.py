"""Image transforms: from a PIL image to a normalised float32 tensor of (3, size, size)."""

from collections.abc import Callable, Sequence

from PIL import Image
from timm.data import create_transform
from torch import Tensor
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Normalize,
    Resize,
    ToTensor,
)

from negmerge.recipe import Augmentation

Transform = Callable[[Image.Image], Tensor]


def training_transform(
    augmentation: Augmentation, size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """Build the random transform of fine-tuning.

    timm's ImageNet training transform without colour jitter and erasing, as in NegMerge's released
    code: random resized crop, flip, RandAugment (if any), normalisation. With crops of 0.9 to 1,
    bicubic, no flip and no RandAugment it is open_clip's own, the plain recipe.

    Args:
        augmentation: the settings.
        size: side of the result in pixels.
        mean: of each channel, of intensities in 0..1.
        std: likewise the standard deviation.
    """
    return create_transform(
        input_size=size,
        is_training=True,
        auto_augment=augmentation.randaugment,
        scale=tuple(augmentation.crop_scale),
        ratio=tuple(augmentation.crop_ratio),
        hflip=augmentation.flip,
        color_jitter=None,
        interpolation=augmentation.interpolation,
        mean=tuple(mean),
        std=tuple(std),
    )


def evaluation_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Build CLIP's transform without randomness: resize (bicubic), centre crop, normalise."""
    return Compose(
        [
            Resize(size, InterpolationMode.BICUBIC),
            CenterCrop(size),
            ToTensor(),
            Normalize(mean, std),
        ]
    )
