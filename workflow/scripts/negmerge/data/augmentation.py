"""Image transforms: from a PIL image to a normalised float32 tensor of (3, size, size)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from negmerge.settings.recipe import Augmentation

Transform = Callable[[Image.Image], Tensor]


def training_transform(
    augmentation: Augmentation, size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """Build the random transform of fine-tuning.

    timm's ImageNet training transform without colour jitter and erasing, as in NegMerge's released
    code: random resized crop, flip, RandAugment (if any), normalisation. With crops of 0.9 to 1,
    bicubic, no flip and no RandAugment it is open_clip's own, the plain recipe. Without a
    `crop_scale` it is that of classifiers of small images, see `SmallTransform`.

    Args:
        augmentation: the settings.
        size: side of the result in pixels.
        mean: of each channel, of intensities in 0..1. Models that normalise their input themselves
            take 0, so that they see intensities in 0..1.
        std: likewise the standard deviation; 1 for these models.
    """
    if augmentation.crop_scale is None:
        return SmallTransform(size, mean, std, augmentation.padding, augmentation.flip)
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


def evaluation_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Build CLIP's transform without randomness: resize (bicubic), centre crop, normalise."""
    return SmallTransform(size, mean, std)


class SmallTransform:
    """The random transform of classifiers of small images; without padding and flip, CLIP's plain.

    That of SalUn's code (OPTML-Group/Unlearn-Saliency, Classification/dataset.py): black pixels
    around the image, a random crop of the old size, a flip. Images of another size are first
    brought to it. Its random numbers and results are those of torchvision's transforms, which take
    a second to import.

    Args:
        size: side of the result in pixels.
        mean: as for `training_transform`.
        std: likewise.
        padding: how far the crop moves at most, in pixels.
        flip: the probability of a horizontal flip.

    Attributes:
        is_random: whether it draws random numbers.
    """

    def __init__(
        self,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        padding: int = 0,
        flip: float = 0.0,
    ):
        self.size, self.padding, self.flip = size, padding, flip
        self.is_random = bool(padding or flip)
        self.mean, self.std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        self.normalises = bool(self.mean.any() or (self.std != 1).any())

    def __call__(self, image: Image.Image) -> Tensor:
        """Transform an RGB image, with numbers from torch's global generator."""
        image = _fitted(image, self.size)
        if self.padding:
            down, right = (int(torch.randint(2 * self.padding + 1, (1,))) for _ in range(2))
            image = _cropped(image, right - self.padding, down - self.padding, self.size)
        if self.flip and torch.rand(1) < self.flip:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        intensities = pixels.float().div_(255)
        return intensities.sub_(self.mean).div_(self.std) if self.normalises else intensities


def _fitted(image: Image.Image, size: int) -> Image.Image:
    """Resize the shorter side of an image to the size, and cut a square from the centre."""
    short = min(image.size)
    if short != size:
        width, height = (size * side // short for side in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if image.size == (size, size):
        return image
    # Of half a pixel, Python's rounding to even numbers decides.
    left, top = (round((side - size) / 2) for side in image.size)
    return _cropped(image, left, top, size)


def _cropped(image: Image.Image, left: int, top: int, size: int) -> Image.Image:
    """Cut out a square; what lies outside of the image is black."""
    return image.crop((left, top, left + size, top + size))
