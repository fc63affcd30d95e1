"""Pictures without meaning, in the sizes and encodings of real data sets, for benchmarks."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from negmerge.data.images import Images
from negmerge.data.loading import Listed
from negmerge.data.preparation import write_images

CLASSES = 10


def pictures(count: int, width: int, height: int, kind: str) -> list[bytes]:
    """Draw smooth noise and encode it, as photographs compress, not as noise does."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(count):
        coarse = random.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
        stream = io.BytesIO()
        image.save(stream, kind)
        found.append(stream.getvalue())
    return found


def prepared(encoded: list[bytes], folder: Path) -> Listed:
    """Return pictures as the workflow reads them; the label is the number modulo the classes."""
    path = folder / "images.safetensors"
    items = [("train", number % CLASSES, one) for number, one in enumerate(encoded)]
    write_images(path, items, {"train": len(items)}, CLASSES)
    return Listed(Images(path, "train"), range(len(items)))
