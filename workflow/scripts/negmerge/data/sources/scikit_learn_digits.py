"""The 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn.

Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits* (UCI, 1998), its test set.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from negmerge.errors import UserError


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Yield the digits in their own order: the first ones to the row's first split, and so on.

    As far as is known the order is by writer, so that splits share few writers.
    """
    digits = load_digits()
    # 17 grey levels, 0..16, become 0..255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    wanted = sum(row["splits"].values())
    if wanted > len(pixels):
        raise UserError(f"scikit-learn has {len(pixels)} digits, the row expects {wanted}")
    start = 0
    for split, count in row["splits"].items():
        for position in range(start, start + count):
            yield split, int(digits.target[position]), Image.fromarray(pixels[position])
        start += count
