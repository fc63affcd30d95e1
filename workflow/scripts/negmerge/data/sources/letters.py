"""Capital letters drawn with the fonts inside matplotlib, shifted, turned and noisy."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from negmerge.errors import UserError

SIZE = 32  # pixels, both ways


def read(files: Mapping[str, str], row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Draw the row's splits; each has its own list of fonts and its own random numbers."""
    options = row["options"]
    letters = options["letters"]
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for number, (split, count) in enumerate(row["splits"].items()):
        if split not in options["fonts"]:
            raise UserError(f"letters: the option `fonts` has none for the split {split!r}")
        random = np.random.default_rng([options["seed"], number])
        fonts = options["fonts"][split]
        for item in range(count):
            label = item % len(letters)
            font = folder / f"{fonts[item // len(letters) % len(fonts)]}.ttf"
            yield split, label, draw(letters[label], font, options["jitter"], random)


def draw(letter: str, font: Path, jitter: float, random: np.random.Generator) -> Image.Image:
    """Draw one grey letter."""
    if not font.is_file():
        raise UserError(f"{font}: no such font in matplotlib {matplotlib.__version__}")
    size = round(22 + jitter * random.uniform(-6, 6))
    shift = jitter * random.uniform(-4, 4, size=2)
    canvas = Image.new("L", (SIZE, SIZE), 0)
    ImageDraw.Draw(canvas).text(
        (SIZE / 2 + shift[0], SIZE / 2 + shift[1]),
        letter,
        fill=int(random.integers(170, 256)),
        font=ImageFont.truetype(str(font), size),
        anchor="mm",
    )
    turned = canvas.rotate(jitter * random.uniform(-25, 25), resample=Image.Resampling.BICUBIC)
    noise = random.normal(0, 1, (SIZE, SIZE)) * random.uniform(0, jitter * 60)
    return Image.fromarray(np.clip(np.asarray(turned) + noise, 0, 255).astype(np.uint8))
