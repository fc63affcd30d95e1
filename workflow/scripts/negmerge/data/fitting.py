"""Images brought to the size of a model's input without randomness, kept where they fit."""

import io
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from negmerge.errors import UserError, one_line

# Training passes over the same images again and again: those that fit into this are decoded once.
KEPT_BYTES = 2**28


def as_rgb(image: Image.Image) -> Image.Image:
    """Decode an image as RGB; a conversion to the mode that it has would copy it."""
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


class Opened:
    """An image file that is opened, but not decoded."""

    def __init__(self, content: bytes, where: str):
        self.file, self._where = Image.open(io.BytesIO(content)), where
        self.size = self.file.size

    def decoded(self, least: tuple[int, int]) -> Image.Image:
        """Decode it as RGB, with at least so much width and height.

        libjpeg-turbo decodes a JPEG at the smallest of 1, 1/2, 1/4 and 1/8 of its size that has
        them. At other than 1, pixels are means over blocks, at a fraction of the time.
        """
        try:
            self.file.draft("RGB", least)
            return as_rgb(self.file)
        # What Pillow raises depends on where a broken file breaks.
        except Exception as error:
            message = one_line(error)
            raise UserError(f"{self._where}: not a whole image ({message})") from error


def fitted(image: Image.Image | Opened, size: int) -> Image.Image:
    """Resize the shorter side of an image to the size, and cut a square from the centre."""
    full = image.size
    if isinstance(image, Opened):
        image = image.decoded((size, size))
    if min(image.size) != size:
        width, height = (size * side // min(full) for side in full)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    if image.size == (size, size):
        return image
    # Of half a pixel, Python's rounding to even numbers decides.
    left, top = (round((side - size) / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


class FittedImages:
    """Images as `fitted` gives them, each made when it is first asked for."""

    def __init__(self, count: int, image: Callable[[int], Image.Image | Opened], size: int):
        self._image, self._size = image, size
        self._shape = (count, 3, size, size)
        self._kept = self._there = None
        if np.prod(self._shape) <= KEPT_BYTES:
            self._kept, self._there = np.empty(self._shape, np.uint8), np.zeros(count, bool)

    def __getitem__(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some as intensities (n, 3, size, size), uint8."""
        if self._kept is None:
            return np.stack([self._made(position) for position in positions])
        positions = np.asarray(positions)
        for position in positions[~self._there[positions]]:
            self._kept[position] = self._made(position)
            self._there[position] = True
        return self._kept[positions]

    def _made(self, position: int) -> np.ndarray:
        image = fitted(self._image(int(position)), self._size)
        return np.asarray(image).transpose(2, 0, 1)
