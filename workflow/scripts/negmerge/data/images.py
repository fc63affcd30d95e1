"""The one on-disk form of every data set: encoded images end to end in a safetensors file.

The file holds `bytes` (uint8, all image files one after the other: PNG, JPEG or what else Pillow
reads), `offsets` (int64, one more than there are images), `labels` (int64) and `split` (int64
positions in `SPLITS`). Images keep their own size and encoding, so 8 x 8 digits and photographs of
500 x 375 share the form, and a reader touches only the bytes of the images that it asks for. It is
written with bounded memory: images pass through an unnamed temporary file, since a header says in
advance how long everything is, and an archive may hold them in another order than the data set.
"""

import io
import json
import tempfile
from array import array
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from PIL import Image, UnidentifiedImageError
from safetensors import SafetensorError, safe_open

from negmerge.data.fitting import FittedImages, Opened, as_rgb
from negmerge.data.splits import SPLITS
from negmerge.errors import UserError, one_line, unknown
from negmerge.files import replacing

# As large as the header's length must be a multiple of.
ALIGNMENT = 8


class Spool:
    """Encoded images in a temporary file that no crash leaves behind."""

    def __init__(self, folder: Path):
        self.labels, self.splits = array("q"), array("q")
        self._ends = array("q", [0])
        self._places: list[Any] = []
        self._stream = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed on exit)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def __len__(self) -> int:
        return len(self.labels)

    def add(self, split: int, label: int, encoded: bytes, place: Any = None) -> None:
        """Add an image; `place` decides where it stands among the others, None: after the last."""
        self._stream.write(encoded)
        self._ends.append(self._ends[-1] + len(encoded))
        self.splits.append(split)
        self.labels.append(label)
        self._places.append(len(self._places) if place is None else place)

    def write(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write all images in the order of their places, as safetensors' `save_file` would."""
        order = sorted(range(len(self)), key=self._places.__getitem__)
        ends = np.array(self._ends, np.int64)
        sizes = np.diff(ends)[order]
        tensors = {
            "labels": np.array(self.labels, np.int64)[order],
            "offsets": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            "split": np.array(self.splits, np.int64)[order],
        }
        with open(path, "wb") as target:
            target.write(_header(tensors, int(ends[-1]), metadata))
            for values in tensors.values():
                target.write(values.astype("<i8").tobytes())
            for number in order:
                self._copy(number, target)

    def _copy(self, number: int, target: BinaryIO) -> None:
        start, end = self._ends[number], self._ends[number + 1]
        self._stream.seek(start)
        target.write(self._stream.read(end - start))


def _header(tensors: Mapping[str, np.ndarray], count: int, metadata: Mapping[str, str]) -> bytes:
    """Make the header: its length as 8 bytes, then JSON filled up with blanks.

    The format is that of github.com/huggingface/safetensors: numbers before bytes, then by name.
    """
    entries: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name, values in tensors.items():
        entries[name] = _entry("I64", values.size, start, values.nbytes)
        start += values.nbytes
    entries["bytes"] = _entry("U8", count, start, count)
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return len(text).to_bytes(8, "little") + text


def _entry(dtype: str, size: int, start: int, length: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [size], "data_offsets": [start, start + length]}


class ImageFile(Protocol):
    """An image file, such as a member of an archive; as text it is what errors call it."""

    def read(self) -> bytes:
        """Return its content."""


Source = Image.Image | ImageFile | bytes
Item = tuple[str, int, Source] | tuple[str, int, Source, tuple[Any, ...]]


def write_images(
    path: str | Path,
    images: Iterable[Item],
    expected: Mapping[str, int],
    classes: int,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write a prepared data set; at no time is more than one image in memory."""
    with replacing(path) as partial, Spool(partial.parent) as spool:
        for split, label, image, *place in images:
            is_file = not isinstance(image, Image.Image | bytes)
            where = str(image) if is_file else f"{path}: item {len(spool)}"
            if split not in SPLITS:
                raise UserError(f"{where}: {unknown('split', split, SPLITS)}")
            if not 0 <= label < classes:
                raise UserError(f"{where}: label {label}, expected 0..{classes - 1}")
            spool.add(SPLITS.index(split), label, _encoded(image, where), *place)
        counts = {name: spool.splits.count(place) for place, name in enumerate(SPLITS)}
        for name in SPLITS:
            if counts[name] != expected.get(name, 0):
                raise UserError(
                    f"{path}: {counts[name]} images in split {name!r}, expected "
                    f"{expected.get(name, 0)}"
                )
        spool.write(partial, {"splits": json.dumps(counts), **(notes or {})})


def _encoded(image: Source, where: str) -> bytes:
    """Return an image as the bytes of an image file, which can be decoded."""
    if isinstance(image, Image.Image):
        return encode(image)
    content = image if isinstance(image, bytes) else image.read()
    try:
        decode(content)
    except ValueError as error:
        raise UserError(f"{where}: not a whole image ({error})") from error
    return content


def encode(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def decode(content: bytes) -> Image.Image:
    """Decode an image file as RGB."""
    try:
        return as_rgb(Image.open(io.BytesIO(content)))
    except UnidentifiedImageError as error:
        raise ValueError("not a format that Pillow reads") from error
    # What Pillow raises depends on where a broken file breaks.
    except Exception as error:
        raise ValueError(one_line(error)) from error


# What a JPEG begins with.
JPEG = b"\xff\xd8\xff"
# Training passes over the same images again and again: those that fit into this are decoded once.
DECODED_BYTES = 2**28


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
        """Return images as `fitting.fitted` gives them: (n, 3, size, size) uint8."""
        if size not in self._fitted:
            self._fitted[size] = FittedImages(len(self), self._read, size)
        return self._fitted[size][positions]

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
