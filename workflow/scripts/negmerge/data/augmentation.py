"""Image transforms: from an image to a normalised float32 tensor of (3, size, size)."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from negmerge.data.fitting import Opened, cropped, fitted
from negmerge.settings.recipe import Augmentation

Transform = Callable[[Image.Image | Opened], Tensor]
# Numbers that stay in a processor's cache between two steps.
IN_CACHE = 2**17


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

    from negmerge.data.drafts import CropOfDraft

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
    return Changes([CropOfDraft(crop), *changes], Normalise(mean, std))


def evaluation_transform(size: int, mean: Sequence[float], std: Sequence[float]) -> Transform:
    """Build CLIP's transform without randomness: resize (bicubic), centre crop, normalise."""
    return SmallTransform(size, mean, std)


class Normalise:
    """From intensities of 0 to 255 to numbers of the given mean and standard deviation.

    Args:
        mean: as for `training_transform`.
        std: likewise.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]):
        self._mean, self._std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
        # A tensor, since a GPU would multiply by the inverse of a plain number, and round twice.
        self._white = torch.tensor(255.0)
        self._changes = bool(self._mean.any() or (self._std != 1).any())

    def __call__(self, image: Image.Image) -> Tensor:
        """Return an RGB image as a tensor (3, height, width)."""
        return self.images([image])[0]

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """Return n RGB images of one size as a tensor (n, 3, height, width)."""
        found = torch.empty(len(images), 3, images[0].height, images[0].width)
        # An image after the other, since one stays in the processor's cache.
        for image, numbers in zip(images, found, strict=True):
            self._write(torch.from_numpy(np.array(image)).permute(2, 0, 1), numbers)
        return found

    def pixels(self, pixels: Tensor) -> Tensor:
        """Normalise pixels (n, 3, height, width), uint8, with the same bits on any device."""
        found = torch.empty(pixels.shape, device=pixels.device)
        size = max(1, IN_CACHE // pixels[0].numel()) if pixels.is_cpu else len(pixels)
        for some, numbers in zip(pixels.split(size), found.split(size), strict=True):
            self._write(some, numbers)
        return found

    def _write(self, pixels: Tensor, numbers: Tensor) -> None:
        mean, std, white = (on.to(numbers.device) for on in (self._mean, self._std, self._white))
        numbers.copy_(pixels).div_(white)
        if self._changes:
            numbers.sub_(mean).div_(std)


class Changes:
    """Changes of an image one after the other, and its normalisation.

    Args:
        steps: the changes, from image to image, which draw from the global generators.
        normalise: makes the tensor.
    """

    def __init__(self, steps: Sequence[Callable], normalise: Normalise):
        self.steps, self.normalise = steps, normalise

    def __call__(self, image: Image.Image | Opened) -> Tensor:
        """Transform an RGB image."""
        return self.normalise(self.changed(image))

    def changed(self, image: Image.Image | Opened) -> Image.Image:
        """Change an RGB image."""
        for step in self.steps:
            image = step(image)
        return image


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
        self.normalise = Normalise(mean, std)

    def __call__(self, image: Image.Image | Opened) -> Tensor:
        """Transform an RGB image, with numbers from torch's global generator."""
        image = fitted(image, self.size)
        down, right, flipped = self._draw(torch.default_generator)
        if self.padding:
            image = cropped(image, right - self.padding, down - self.padding, self.size)
        if flipped:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return self.normalise(image)

    def pixels(self, image: Image.Image | Opened) -> Tensor:
        """Return an RGB image of the size as (3, size, size) uint8, not changed at random."""
        return torch.from_numpy(np.array(fitted(image, self.size))).permute(2, 0, 1)

    def of_batch(self, images: np.ndarray, seeds: Iterable[int] = ()) -> Tensor:
        """Transform images that have the size already, in a fraction of the time.

        Args:
            images: (n, 3, size, size) uint8.
            seeds: of the n images, if the transform is random: each has the random numbers that it
                has alone after `torch.manual_seed`.

        Returns:
            (n, 3, size, size), what the images give one by one.
        """
        if self.is_random:
            images = self._moved(images, seeds)
        return self.normalise.pixels(torch.from_numpy(images))

    def _moved(self, images: np.ndarray, seeds: Iterable[int]) -> np.ndarray:
        """Crop and flip images at random."""
        size, edge, generator = self.size, self.padding, torch.Generator()
        padded = np.zeros((*images.shape[:2], size + 2 * edge, size + 2 * edge), np.uint8)
        padded[..., edge : edge + size, edge : edge + size] = images
        moved = np.empty_like(images)
        for place, seed in enumerate(seeds):
            generator.manual_seed(seed)
            down, right, flipped = self._draw(generator)
            crop = padded[place, :, down : down + size, right : right + size]
            moved[place] = crop[..., ::-1] if flipped else crop
        return moved

    def _draw(self, generator: torch.Generator) -> tuple[int, int, bool]:
        """Draw how far a crop lies below and right of the padded image's corner, and the flip."""
        down = right = 0
        if self.padding:
            shape = 2 * self.padding + 1, (1,)
            down, right = (int(torch.randint(*shape, generator=generator)) for _ in range(2))
        flipped = bool(self.flip) and bool(torch.rand(1, generator=generator) < self.flip)
        return down, right, flipped
