"""The images of a prepared data set, see `data.preparation`, decoded and brought to one size."""

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open

from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, one_line

# What a JPEG begins with.
JPEG = b"\xff\xd8\xff"
# Training passes over the same images again and again: those that fit into this are decoded once.
DECODED_BYTES = 2**28
# Likewise for those that have been brought to one size.
KEPT_BYTES = 2**28


def decode(content: bytes) -> Image.Image:
    """Decode an image file as RGB; a ValueError says what is wrong with it."""
    try:
        return _as_rgb(Image.open(io.BytesIO(content)))
    except UnidentifiedImageError as error:
        raise ValueError("not a format that Pillow reads") from error
    # What Pillow raises depends on where a broken file breaks.
    except Exception as error:
        raise ValueError(one_line(error)) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    image.load()
    # A conversion to the mode that it has would copy it.
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
            return _as_rgb(self.file)
        except Exception as error:
            raise UserError(f"{self._where}: not a whole image ({one_line(error)})") from error


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
    """Images as `fitted` gives them, each made when it is first asked for, and kept if all fit."""

    def __init__(self, count: int, image: Callable[[int], Image.Image | Opened], size: int):
        self._image, self._size = image, size
        shape = (count, 3, size, size)
        self._kept = self._is_kept = None
        if np.prod(shape) <= KEPT_BYTES:
            self._kept, self._is_kept = np.empty(shape, np.uint8), np.zeros(count, bool)

    def __getitem__(self, positions: Sequence[int] | np.ndarray) -> np.ndarray:
        """Return some as intensities (n, 3, size, size), uint8."""
        if self._kept is None:
            return np.stack([self._pixels(position) for position in positions])
        positions = np.asarray(positions)
        for position in positions[~self._is_kept[positions]]:
            self._kept[position] = self._pixels(position)
            self._is_kept[position] = True
        return self._kept[positions]

    def _pixels(self, position: int) -> np.ndarray:
        return np.asarray(fitted(self._image(int(position)), self._size)).transpose(2, 0, 1)


def image_counts(path: str | Path) -> dict[str, int]:
    """Count the images of each split of a prepared data set."""
    try:
        with safe_open(str(path), framework="numpy") as file:
            return json.loads((file.metadata() or {})["splits"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise _not_whole(path, error) from error


def _not_whole(path: str | Path, error: Exception | str) -> UserError:
    return UserError(f"{path}: not a whole prepared data set ({error}); delete it and run again")


class Images:
    """The images of one split of a prepared data set, decoded when they are first asked for."""

    def __init__(self, path: str | Path, split: str, drafts: bool = False):
        self.path = Path(path)
        self.split, self._drafts = split, drafts
        try:
            self._open()
            offsets = self._file.get_tensor("offsets")
            rows = self._file.get_tensor("split") == SPLITS.index(split)
            labels = self._file.get_tensor("labels")
        except (SafetensorError, OSError) as error:
            raise _not_whole(path, error) from error
        if not rows.any():
            raise UserError(f"{path}: split {split!r} holds no images")
        self.labels = labels[rows]
        self._spans = np.stack([offsets[:-1][rows], offsets[1:][rows]], axis=1)

    def _open(self) -> None:
        self._file = safe_open(str(self.path), framework="numpy")
        self._bytes = self._file.get_slice("bytes")
        self._decoded: dict[int, Image.Image] = {}
        self._room = DECODED_BYTES
        self._fitted: dict[int, FittedImages] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> Image.Image | Opened:
        """Return one image: RGB, or with `drafts`, if it is a JPEG, only opened."""
        if position in self._decoded:
            return self._decoded[position]
        image = self._read(position)
        if isinstance(image, Image.Image):
            self._room -= 3 * image.width * image.height
            if self._room >= 0:
                self._decoded[position] = image
        return image

    def fitted(self, positions: np.ndarray, size: int) -> np.ndarray:
        """Return images as `fitted` gives them: (n, 3, size, size) uint8."""
        if size not in self._fitted:
            self._fitted[size] = FittedImages(len(self), self._read, size)
        return self._fitted[size][positions]

    def _read(self, position: int) -> Image.Image | Opened:
        start, end = self._spans[position]
        content = self._bytes[int(start) : int(end)].tobytes()
        where = f"image {position} of {self.split}"
        if self._drafts and content.startswith(JPEG):
            return Opened(content, f"{self.path}: {where}")
        try:
            return decode(content)
        except ValueError as error:
            raise _not_whole(self.path, f"{where}: {error}") from error

    def __getstate__(self) -> dict:
        # Neither open files nor decoded images travel to the workers of a loader.
        own = ("_file", "_bytes", "_decoded", "_room", "_fitted")
        return {key: value for key, value in vars(self).items() if key not in own}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._open()
