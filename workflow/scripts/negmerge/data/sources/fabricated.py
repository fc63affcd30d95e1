"""Data sets that need no download: invented authors, drawn letters, scikit-learn's digits."""

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from pydantic import Field

from negmerge.data.archives import read_file
from negmerge.data.questions import Question
from negmerge.data.sources import Files, Names, Source, Split
from negmerge.data.sources.text import QuestionOptions
from negmerge.errors import UserError
from negmerge.settings.recipe import Seed, Settings

WRONG_ANSWERS = 5


class AuthorOptions(QuestionOptions):
    per_author: Annotated[int, Field(ge=1, le=10)] = Field(
        10, description="Questions about each author, of ten that there are."
    )
    seed: Seed = Field(description="Of all that is drawn at random.")

    wordings: ClassVar[int] = 2
    answers: ClassVar[int] = 2


def read_authors(files: Files, row: Mapping) -> Iterator[Question]:
    """Invent authors in the form of TOFU: what each was born as, wrote and won; names differ.

    Wrong answers are the paraphrased one with five other values, so only the value tells them
    apart.
    """
    invented = json.loads(read_file(files["facts"]))
    random = np.random.default_rng(row["options"]["seed"])
    each, names = row["options"]["per_author"], combined(invented["names"])
    authors = sum(row["splits"].values()) // each
    if authors > len(names):
        raise UserError(f"authors: {authors} authors, but there are only {len(names)} names")
    drawn = iter(random.permutation(len(names)))
    for split, count in row["splits"].items():
        if count % each:
            raise UserError(f"authors: {count} questions in {split}, no multiple of {each}")
        for author in range(count // each):
            name = names[next(drawn)]
            for fact in invented["facts"][:each]:
                values = combined(fact["values"])
                right, *wrong = random.permutation(values)[: WRONG_ANSWERS + 1]
                asked, *wordings = (wording.format(name=name) for wording in fact["wordings"])
                paraphrase = fact["paraphrase"]
                yield Question(
                    split,
                    author,
                    asked,
                    fact["answer"].format(name=name, value=right),
                    tuple(wordings),
                    paraphrase.format(name=name, value=right),
                    tuple(paraphrase.format(name=name, value=value) for value in wrong),
                )


def combined(parts: Sequence[str]) -> list[str]:
    """Combine words: each of the first part with each of the second, if there is one."""
    return [" ".join(words) for words in product(*(part.split() for part in parts))]


class LetterOptions(Settings):
    letters: str = Field(min_length=1, description="The classes.")
    seed: Seed = Field(description="Of all that is drawn at random.")
    jitter: Annotated[float, Field(ge=0)] = Field(description="How uneven they are; 0: not at all.")
    fonts: dict[Split, Names] = Field(description="The fonts of each split.")


def read_letters(files: Files, row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Draw letters with the fonts inside matplotlib; each split has its own random numbers."""
    import matplotlib

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
            if not font.is_file():
                raise UserError(f"{font}: no such font in matplotlib {matplotlib.__version__}")
            yield split, label, _letter(letters[label], font, options["jitter"], random)


def _letter(letter: str, font: Path, jitter: float, random: np.random.Generator) -> Image.Image:
    """Draw one grey letter of 32 x 32 pixels, shifted, turned and noisy."""
    side = 32
    size = round(22 + jitter * random.uniform(-6, 6))
    shift = jitter * random.uniform(-4, 4, size=2)
    canvas = Image.new("L", (side, side), 0)
    ImageDraw.Draw(canvas).text(
        (side / 2 + shift[0], side / 2 + shift[1]),
        letter,
        fill=int(random.integers(170, 256)),
        font=ImageFont.truetype(str(font), size),
        anchor="mm",
    )
    turned = canvas.rotate(jitter * random.uniform(-25, 25), resample=Image.Resampling.BICUBIC)
    noise = random.normal(0, 1, (side, side)) * random.uniform(0, jitter * 60)
    return Image.fromarray(np.clip(np.asarray(turned) + noise, 0, 255).astype(np.uint8))


def read_digits(files: Files, row: Mapping) -> Iterator[tuple[str, int, Image.Image]]:
    """Read the 1,797 digits of 8 x 8 pixels inside scikit-learn (Alpaydin and Kaynak, 1998)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 17 grey levels, 0..16, become 0..255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    items = zip(pixels, digits.target.tolist(), strict=True)
    for split, count in row["splits"].items():
        for image, label in islice(items, count):
            yield split, label, Image.fromarray(image)


SOURCES = {
    "authors": Source(read_authors, lambda *_: ("facts",), AuthorOptions, has_questions=True),
    "letters": Source(read_letters, options=LetterOptions),
    "scikit-learn-digits": Source(read_digits),
}
