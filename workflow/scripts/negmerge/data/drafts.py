"""Random crops of JPEG files that are decoded no larger than the crop needs."""

import random
from math import ceil

import numpy as np
import torch
from PIL import Image
from timm.data.transforms import RandomResizedCropAndInterpolation
from torch.nn.functional import interpolate
from torchvision.transforms import InterpolationMode

from negmerge.data.fitting import Opened


class CropOfDraft:
    """A random resized crop of timm's that also takes images that are only opened.

    It draws the numbers that the crop draws and cuts the same part out of the image, with edges
    rounded to whole pixels of the smaller image.
    """

    def __init__(self, crop: RandomResizedCropAndInterpolation):
        self.crop = crop

    def __call__(self, image: Image.Image | Opened) -> Image.Image:
        """Crop an image to the size of the crop."""
        crop = self.crop
        if not isinstance(image, Opened):
            return crop(image)
        box = _, _, height, width = crop.get_params(image.file, crop.scale, crop.ratio)
        (across, down), (most_down, most_across) = image.size, crop.size
        least = ceil(across * most_across / width), ceil(down * most_down / height)
        decoded = image.decoded(least)
        box = [round(side * decoded.width / across) for side in box]
        fixed = not isinstance(crop.interpolation, list | tuple)
        interpolation = crop.interpolation if fixed else random.choice(crop.interpolation)
        return resized_crop(decoded, *box, crop.size, interpolation)


def resized_crop(
    image: Image.Image,
    top: int,
    left: int,
    height: int,
    width: int,
    size: tuple[int, int],
    interpolation: InterpolationMode,
) -> Image.Image:
    """Cut a part out of an RGB image and resize it as a uint8 tensor, faster than Pillow does."""
    part = np.array(image.crop((left, top, left + width, top + height)))
    pixels = torch.from_numpy(part).permute(2, 0, 1)[None]
    pixels = interpolate(pixels, tuple(size), mode=interpolation.value, antialias=True)
    return Image.fromarray(pixels[0].permute(1, 2, 0).contiguous().numpy())
