"""The one on-disk form of every data set: encoded images end to end in a safetensors file.

The file holds `bytes` (uint8, all PNG or JPEG files one after the other), `offsets` (int64, one
more than there are images), `labels` (int64) and `split` (int64 positions in `SPLITS`). Images
keep their own size and encoding, so 8 x 8 digits and photographs of 500 x 375 share the form, and
a reader touches only the bytes of the images that it asks for.
"""

import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from negmerge.data.splits import SPLITS
from negmerge.errors import UserError
from negmerge.files import replacing


def write_images(
    path: str | Path,
    images: Iterable[tuple[str, int, Image.Image | bytes]],
    expected: Mapping[str, int],
    classes: int,
) -> None:
    """Write a prepared data set.

    Args:
        path: the file to write.
        images: split, label and image of each item, in the source's order; an image that is
            already encoded is stored as it is, others as PNG.
        expected: the number of images per split.
        classes: the number of classes.

    Raises:
        UserError: a count differs from the expected one, or a label is out of range.
    """
    files, labels, splits = [], [], []
    for split, label, image in images:
        if not 0 <= label < classes:
            raise UserError(
                f"{path}: label {label} of item {len(labels)}, expected 0..{classes - 1}"
            )
        files.append(image if isinstance(image, bytes) else encode(image))
        labels.append(label)
        splits.append(SPLITS.index(split))
    counts = {name: splits.count(place) for place, name in enumerate(SPLITS)}
    for name in SPLITS:
        if counts[name] != expected.get(name, 0):
            raise UserError(
                f"{path}: {counts[name]} images in split {name!r}, expected {expected.get(name, 0)}"
            )
    tensors = {
        "bytes": np.frombuffer(b"".join(files), np.uint8),
        "offsets": np.cumsum([0, *map(len, files)], dtype=np.int64),
        "labels": np.array(labels, np.int64),
        "split": np.array(splits, np.int64),
    }
    with replacing(path) as partial:
        save_file(tensors, partial, metadata={"splits": json.dumps(counts)})


def encode(image: Image.Image) -> bytes:
    """Encode an image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


class Images:
    """The images of one split of a prepared data set, decoded when they are asked for.

    Args:
        path: a file that `write_images` wrote.
        split: one of `SPLITS`.

    Raises:
        UserError: the file is missing, truncated or foreign, or has no such split.
    """

    def __init__(self, path: str | Path, split: str):
        self.path = Path(path)
        self.split = split
        try:
            self._open()
            offsets = self._file.get_tensor("offsets")
            rows = self._file.get_tensor("split") == SPLITS.index(split)
            labels = self._file.get_tensor("labels")
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"{path}: not a whole prepared data set ({error}); delete it and run again"
            ) from error
        if not rows.any():
            raise UserError(f"{path}: split {split!r} holds no images")
        self.labels = labels[rows]
        self._spans = np.stack([offsets[:-1][rows], offsets[1:][rows]], axis=1)

    def _open(self) -> None:
        self._file = safe_open(str(self.path), framework="numpy")
        self._bytes = self._file.get_slice("bytes")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, position: int) -> Image.Image:
        """Decode one image as RGB."""
        start, end = self._spans[position]
        return Image.open(io.BytesIO(self._bytes[int(start) : int(end)].tobytes())).convert("RGB")

    def __getstate__(self) -> dict:
        # Open files do not travel to the workers of a loader; each opens its own.
        return {key: value for key, value in vars(self).items() if key not in ("_file", "_bytes")}

    def __setstate__(self, state: dict) -> None:
        vars(self).update(state)
        self._open()
