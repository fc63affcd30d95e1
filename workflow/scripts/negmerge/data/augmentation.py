"""Image transforms: from an image to a normalised float32 tensor of (3, size, size)."""

import random
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from math import ceil

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import interpolate

from negmerge.data.images import Opened, fitted
from negmerge.settings.recipe import Augmentation

Transform = Callable[[Image.Image | Opened], Tensor]
# Numbers that stay in a processor's cache between two steps.
IN_CACHE = 2**17


def training_transform(
    augmentation: Augmentation, size: int, mean: Sequence[float], std: Sequence[float]
) -> Transform:
    """Build the random transform of fine-tuning, to images of a side of `size` pixels.

    timm's ImageNet training transform without colour jitter and erasing, as in NegMerge's released
    code; without a `crop_scale` that of classifiers of small images, see `SmallTransform`.
    """
    if augmentation.crop_scale is None:
        return SmallTransform(size, mean, std, augmentation.padding, augmentation.flip)
    # Here, since timm takes seconds to import and classifiers of small images do without it.
    from timm.data import create_transform

    transform = create_transform(
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
    crop, *changes, _, _ = transform.transforms
    # In place of timm's conversion and normalisation: the same numbers in half the time.
    return Changes([RandomCrop(crop), *changes], Normalise(mean, std))


def evaluation_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Build CLIP's transform without randomness: resize (bicubic), centre crop, normalise."""
    return SmallTransform(size, mean, std)


class Normalise:
    """From intensities of 0 to 255 to numbers of the mean and standard deviation of a model."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        # A tensor, since a GPU would multiply by the inverse of a plain number, and round twice.
        self._white = torch.tensor(255.0)

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Return n RGB images of one size as a tensor (n, 3, height, width)."""
        return self.pixels(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2))

    def pixels(self, pixels: Tensor) -> Tensor:
        """Normalise pixels (n, 3, height, width), uint8, with the same bits on any device."""
        device = pixels.device
        mean, std, white = (part.to(device) for part in (self._mean, self._std, self._white))
        normalised = torch.empty(pixels.shape, device=device)
        size = max(1, IN_CACHE // pixels[0].numel()) if pixels.is_cpu else len(pixels)
        for stored, numbers in zip(pixels.split(size), normalised.split(size), strict=True):
            numbers.copy_(stored).div_(white).sub_(mean).div_(std)
        return normalised


class Changes:
    """Steps from image to image, which draw from the global generators, and a normalisation."""

    def __init__(self, steps: Sequence[Callable], normalise: Normalise):
        self.steps, self.normalise = steps, normalise

    def __call__(self, image: Image.Image | Opened) -> Tensor:
        return self.normalise.images([self.changed(image)])[0]

    def changed(self, image: Image.Image | Opened) -> Image.Image:
        for step in self.steps:
            image = step(image)
        return image


class RandomCrop:
    """timm's random resized crop, which decodes opened images no larger than it needs."""

    def __init__(self, crop: Callable[[Image.Image], Image.Image]):
        self.crop = crop

    def __call__(self, image: Image.Image | Opened) -> Image.Image:
        crop = self.crop
        if not isinstance(image, Opened):
            return crop(image)
        box = _, _, height, width = crop.get_params(image.file, crop.scale, crop.ratio)
        (full_width, full_height), (out_height, out_width) = image.size, crop.size
        least = ceil(full_width * out_width / width), ceil(full_height * out_height / height)
        decoded = image.decoded(least)
        box = [round(side * decoded.width / full_width) for side in box]
        is_fixed = not isinstance(crop.interpolation, list | tuple)
        interpolation = crop.interpolation if is_fixed else random.choice(crop.interpolation)
        return resized_crop(decoded, *box, crop.size, interpolation)


def resized_crop(
    image: Image.Image,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Sequence[int],
    interpolation: Enum,
) -> Image.Image:
    """Cut a part out of an RGB image and resize it as a uint8 tensor, faster than Pillow does."""
    part = np.array(image.crop((left, top, left + width, top + height)))
    pixels = torch.from_numpy(part).permute(2, 0, 1)[None]
    pixels = interpolate(pixels, tuple(size), mode=interpolation.value, antialias=True)
    return Image.fromarray(pixels[0].permute(1, 2, 0).contiguous().numpy())


class SmallTransform:
    """The random transform of SalUn's code for small images; without padding and flip, CLIP's.

    Its random numbers and results are those of torchvision's RandomCrop and RandomHorizontalFlip.
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
        self.normalise = Normalise(mean, std)

    def __call__(self, image: Image.Image | Opened) -> Tensor:
        """Transform an RGB image, with numbers from torch's global generator."""
        moved = self._moved(self.pixels(image).numpy()[None], [torch.default_generator])
        return self.normalise.pixels(torch.from_numpy(moved))[0]

    def pixels(self, image: Image.Image | Opened) -> Tensor:
        """Return an RGB image of the size as (3, size, size) uint8, not changed at random."""
        return torch.from_numpy(np.array(fitted(image, self.size))).permute(2, 0, 1)

    def of_batch(self, images: np.ndarray, seeds: Iterable[int] = ()) -> Tensor:
        """Transform images (n, 3, size, size), uint8, each as alone after seeding torch."""
        moved = self._moved(images, map(Generator().manual_seed, seeds))
        return self.normalise.pixels(torch.from_numpy(moved))

    def _moved(self, images: np.ndarray, generators: Iterable[Generator]) -> np.ndarray:
        """Crop and flip images at random, if at all, each by a generator of its own."""
        if not self.is_random:
            return images
        size, edge = self.size, self.padding
        padded = np.zeros((*images.shape[:2], size + 2 * edge, size + 2 * edge), np.uint8)
        padded[..., edge : edge + size, edge : edge + size] = images
        moved = np.empty_like(images)
        for place, (image, generator) in enumerate(zip(padded, generators, strict=True)):
            down = right = 0
            if edge:
                down, right = torch.randint(2 * edge + 1, (2,), generator=generator).tolist()
            crop = image[:, down : down + size, right : right + size]
            flipped = self.flip and torch.rand(1, generator=generator) < self.flip
            moved[place] = crop[..., ::-1] if flipped else crop
        return moved
