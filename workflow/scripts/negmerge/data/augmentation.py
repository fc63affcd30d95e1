"""Image transforms: from a PIL image to a normalised float32 tensor of (3, size, size)."""

from collections.abc import Callable, Sequence

from PIL import Image
from torch import Tensor
from torchvision.transforms import (
    CenterCrop,
    Compose,
    InterpolationMode,
    Normalize,
    RandomCrop,
    RandomHorizontalFlip,
    Resize,
    ToTensor,
)

from negmerge.settings.recipe import Augmentation

Transform = Callable[[Image.Image], Tensor]


def training_transform(
    augmentation: Augmentation, size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """Build the random transform of fine-tuning.

    timm's ImageNet training transform without colour jitter and erasing, as in NegMerge's released
    code: random resized crop, flip, RandAugment (if any), normalisation. With crops of 0.9 to 1,
    bicubic, no flip and no RandAugment it is open_clip's own, the plain recipe. Without a
    `crop_scale` it is `small_image_transform`.

    Args:
        augmentation: the settings.
        size: side of the result in pixels.
        mean: of each channel, of intensities in 0..1. Models that normalise their input themselves
            take 0, so that they see intensities in 0..1.
        std: likewise the standard deviation; 1 for these models.
    """
    if augmentation.crop_scale is None:
        return small_image_transform(augmentation, size, mean, std)
    # Here, since timm takes seconds to import and classifiers of small images do without it.
    from timm.data import create_transform

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


def small_image_transform(
    augmentation: Augmentation, size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """Build the random transform of classifiers of small images, for a `crop_scale` of None.

    That of SalUn's code (OPTML-Group/Unlearn-Saliency, Classification/dataset.py): black pixels
    around the image, a random crop of the old size, a flip. Images of another size are first
    brought to it as for evaluation; without padding and flip the result is that for evaluation.

    Args:
        augmentation: the settings; only `padding` and `flip` count.
        size: side of the result in pixels.
        mean: as for `training_transform`.
        std: likewise.
    """
    changes: list[Callable] = []
    if augmentation.padding:
        changes.append(RandomCrop(size, padding=augmentation.padding))
    if augmentation.flip:
        changes.append(RandomHorizontalFlip(augmentation.flip))
    return Compose([*_fit(size), *changes, ToTensor(), Normalize(mean, std)])


def evaluation_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Build CLIP's transform without randomness: resize (bicubic), centre crop, normalise."""
    return Compose([*_fit(size), ToTensor(), Normalize(mean, std)])


def _fit(size: int) -> list[Callable]:
    """Bring PIL images to the size; they stay as they are if they have it."""
    return [Resize(size, InterpolationMode.BICUBIC), CenterCrop(size)]
