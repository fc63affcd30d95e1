"""The images of prepared data sets (`preparation` has their form): decoded, fitted and kept."""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open

from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, one_line

# What a JPEG begins with.
JPEG = b"\xff\xd8\xff"
# Training passes over the same images again and again: those that fit into this are decoded once.
KEPT_BYTES = 2**28


def decode(content: bytes) -> Image.Image:
    """Decode an image file as RGB."""
    try:
        return _as_rgb(Image.open(io.BytesIO(content)))
    except UnidentifiedImageError as error:
        raise ValueError("not a format that Pillow reads") from error
    # What Pillow raises depends on where a broken file breaks.
    except Exception as error:
        raise ValueError(one_line(error)) from error


def _as_rgb(image: Image.Image) -> Image.Image:
    """Decode an image as RGB; a conversion to the mode that it has would copy it."""
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


class Opened:
    """An image file that is opened, but not decoded."""

    def __init__(self, content: bytes, where: str):
        self.file, self._where = Image.open(io.BytesIO(content)), where
        self.size = self.file.size

    def decoded(self, least: tuple[int, int]) -> Image.Image:
        """Decode it as RGB; a JPEG at 1/2, 1/4 or 1/8 of its size if that is enough."""
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
        self._room = KEPT_BYTES
        # Fitted pixels by size, and which of them are there.
        self._fitted: dict[int, tuple[np.ndarray, np.ndarray]] = {}

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

    def fitted(self, positions: Sequence[int] | np.ndarray, size: int) -> np.ndarray:
        """Return images as the function `fitted` gives them: (n, 3, size, size) uint8."""
        positions, shape = np.asarray(positions), (len(self), 3, size, size)
        if np.prod(shape) > KEPT_BYTES:
            return np.stack([self._fit(position, size) for position in positions])
        if size not in self._fitted:
            self._fitted[size] = np.empty(shape, np.uint8), np.zeros(len(self), bool)
        pixels, is_there = self._fitted[size]
        for position in positions[~is_there[positions]]:
            pixels[position] = self._fit(position, size)
            is_there[position] = True
        return pixels[positions]

    def _fit(self, position: int, size: int) -> np.ndarray:
        return np.asarray(fitted(self._read(position), size)).transpose(2, 0, 1)

    def _read(self, position: int) -> Image.Image | Opened:
        start, end = self._spans[position]
        content, where = self._bytes[int(start) : int(end)].tobytes(), f"image {position} of "
        if self._drafts and content.startswith(JPEG):
            return Opened(content, f"{self.path}: {where}{self.split}")
        try:
            return decode(content)
        except ValueError as error:
            raise _not_whole(self.path, f"{where}{self.split}: {error}") from error

    def __getstate__(self) -> dict:
        # Neither open files nor decoded images travel to the workers of a loader.
        own = ("_file", "_bytes", "_decoded", "_room", "_fitted")
        return {key: value for key, value in vars(self).items() if key not in own}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._open()
