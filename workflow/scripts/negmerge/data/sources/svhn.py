"""Street View House Numbers, cropped digits, in MATLAB files (Netzer et al., 2011)."""

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image

from negmerge.data.archives import read_file
from negmerge.data.matlab import read_variables
from negmerge.errors import UserError

ZERO = 10  # how the files label the digit 0


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Read a file for each split that the row counts, in its order."""
    for split in row["splits"]:
        content = read_file(files[split])
        pixels, labels = read_variables(content, ["X", "y"], files[split])
        if pixels.dtype != np.uint8 or pixels.shape != (32, 32, 3, labels.size):
            raise UserError(
                f"{files[split]}: X is {pixels.dtype} {pixels.shape}, expected uint8 (32, 32, 3, "
                f"{labels.size})"
            )
        if labels.dtype.kind not in "ui":
            raise UserError(f"{files[split]}: y is {labels.dtype}, expected whole numbers")
        for number, label in enumerate(labels.ravel().tolist()):
            yield split, 0 if label == ZERO else label, Image.fromarray(pixels[..., number])
