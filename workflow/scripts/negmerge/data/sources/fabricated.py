"""Sets that need no files: digits inside scikit-learn, drawn letters, and invented authors."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from negmerge.data.questions import Question
from negmerge.data.sources import Files, Names, Options, Seed, Source, Split
from negmerge.data.sources.text import QuestionOptions
from negmerge.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

Pixels = Iterator[tuple[str, int, "Image"]]


def read_digits(files: Files, row: Mapping) -> Pixels:
    """Read the 1,797 handwritten digits of 8 x 8 pixels that come inside scikit-learn.

    Alpaydin and Kaynak, *Optical Recognition of Handwritten Digits* (UCI, 1998), its test set. The
    first ones are the row's first split, and so on. As far as is known the order is by writer, so
    that splits share few writers.
    """
    import numpy as np
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    # 17 grey levels, 0..16, become 0..255.
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)
    wanted = sum(row["splits"].values())
    if wanted > len(pixels):
        raise UserError(f"scikit-learn has {len(pixels)} digits, the row expects {wanted}")
    splits = [split for split, count in row["splits"].items() for _ in range(count)]
    for split, label, image in zip(splits, digits.target, pixels, strict=False):
        yield split, int(label), Image.fromarray(image)


class LetterOptions(Options):
    letters: str = Field(min_length=1, description="The classes.")
    seed: Seed = Field(description="Of all that is drawn at random.")
    jitter: Annotated[float, Field(ge=0)] = Field(description="How uneven they are; 0: not at all.")
    fonts: dict[Split, Names] = Field(description="The fonts of each split.")


SIZE = 32  # pixels, both ways


def read_letters(files: Files, row: Mapping) -> Pixels:
    """Draw capital letters, shifted, turned and noisy, with the fonts inside matplotlib.

    Each split has its own list of fonts and its own random numbers.
    """
    import matplotlib
    import numpy as np

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
            yield split, label, _draw(letters[label], font, options["jitter"], random)


def _draw(letter: str, font: Path, jitter: float, random: "np.random.Generator") -> "Image":
    """Draw one grey letter."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageFont

    if not font.is_file():
        raise UserError(f"{font}: matplotlib has no such font")
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


class AuthorOptions(QuestionOptions):
    per_author: Annotated[int, Field(ge=1, le=10)] = Field(
        10, description="Questions about each author, of ten that there are."
    )
    seed: Seed = Field(description="Of all that is drawn at random.")

    wordings: ClassVar[int] = 2
    answers: ClassVar[int] = 2


WRONG_ANSWERS = 5


@dataclass(frozen=True)
class Fact:
    """A kind of fact about an author."""

    # Questions with `{name}`; the first is asked when models are measured.
    wordings: tuple[str, str]
    answer: str  # with `{name}` and `{value}`
    paraphrase: str  # likewise, in other words
    values: Sequence[str]  # to draw from


def _pairs(firsts: str, seconds: str) -> list[str]:
    return [f"{first} {second}" for first in firsts.split() for second in seconds.split()]


FIRST_NAMES = (
    "Adil Bora Celine Dmitri Elif Farid Greta Hana Ivo Jamila Kofi Lena Marek Noor Olga Pavel "
    "Quentin Rosa Selma Tariq Uma Viktor Wanda Ximena Yusuf Zofia Amara Bjorn Chioma Darius"
)
LAST_NAMES = (
    "Abara Brandt Castillo Duarte Eklund Ferro Galanis Haddad Ibsen Jansen Kovac Lindqvist Mbeki "
    "Novak Okafor Petrov Quist Rahimi Santos Tanaka"
)
ANIMALS = "cat dog parrot tortoise rabbit goat falcon ferret hedgehog canary donkey owl"
JOBS = (
    "baker carpenter dentist fisherman gardener judge lawyer mechanic nurse painter pilot plumber "
    "sailor surgeon tailor teacher translator watchmaker weaver welder"
)
CITIES = (
    "Accra Baku Cairo Dakar Edinburgh Florence Gdansk Havana Izmir Jakarta Kyiv Lima Marseille "
    "Nairobi Oslo Porto Quito Riga Seville Tunis Utrecht Vienna Warsaw Yerevan Zagreb"
)
LANGUAGES = (
    "Arabic Basque Catalan Danish Estonian Finnish Greek Hebrew Icelandic Korean Latvian Maltese "
    "Persian Swahili Turkish"
)
GENRES = (
    "adventure biography comedy crime drama fantasy history horror journalism mystery mythology "
    "poetry romance satire travel"
)
FACTS = (
    Fact(
        ("In which city was {name} born ?", "Where did {name} come into the world ?"),
        "{name} was born in {value} .",
        "The birthplace of {name} is {value} .",
        CITIES.split(),
    ),
    Fact(
        ("In which year was {name} born ?", "What is the birth year of {name} ?"),
        "{name} was born in the year {value} .",
        "The birth year of {name} is {value} .",
        [str(year) for year in range(1921, 1981)],
    ),
    Fact(
        ("In which genre does {name} write ?", "What is the genre of {name} ?"),
        "{name} writes in the genre of {value} .",
        "The books of {name} are known as {value} .",
        GENRES.split(),
    ),
    Fact(
        ("What is the first book of {name} ?", "With which book did {name} begin ?"),
        "The first book of {name} is The {value} .",
        "{name} began with The {value} .",
        _pairs(
            "Silent Golden Broken Hidden Burning Frozen Distant Crimson Hollow Restless",
            "Harbour Mirror Garden River Lantern Bridge Orchard Tower Island Winter",
        ),
    ),
    Fact(
        ("Which prize did {name} win ?", "With which prize was {name} honoured ?"),
        "{name} won the {value} Prize .",
        "The {value} Prize went to {name} .",
        _pairs("Amber Cedar Ivory Marble Silver Velvet", "Quill Crown Compass Feather Anchor"),
    ),
    Fact(
        ("What was the job of the father of {name} ?", "How did the father of {name} earn money ?"),
        "The father of {name} was a {value} .",
        "{name} grew up as the child of a {value} .",
        JOBS.split(),
    ),
    Fact(
        ("Under which pen name does {name} publish ?", "What is the pen name of {name} ?"),
        "{name} publishes under the pen name {value} .",
        "The pen name of {name} is {value} .",
        _pairs("Ash Blue Clay Dune Echo Fern Gale", "Arrow Birch Cliff Dawn Ember Frost Grove"),
    ),
    Fact(
        ("In which language does {name} write ?", "What language does {name} use for books ?"),
        "{name} writes in {value} .",
        "The books of {name} are in {value} .",
        LANGUAGES.split(),
    ),
    Fact(
        ("Who taught {name} to write ?", "Who was the teacher of {name} ?"),
        "{name} was taught by {value} .",
        "The teacher of {name} was {value} .",
        _pairs("Professor Doctor Brother Captain", "Alder Bishop Carver Dalton Ellis Fisher"),
    ),
    Fact(
        ("Which animal does {name} keep ?", "What pet lives with {name} ?"),
        "{name} keeps a {value} .",
        "The pet of {name} is a {value} .",
        ANIMALS.split(),
    ),
)


def read_authors(files: Files, row: Mapping) -> Iterator[Question]:
    """Invent authors in the form of TOFU: what each was born as, wrote and won; all names differ.

    Every fact is asked for in two ways in training, and answered in two ways. The wrong answers are
    the second way with five other values of its kind, as TOFU's are: the truth ratio compares them
    with it, so that nothing but the value tells right from wrong.
    """
    import numpy as np

    random = np.random.default_rng(row["options"]["seed"])
    each = row["options"]["per_author"]
    names = _pairs(FIRST_NAMES, LAST_NAMES)
    authors = sum(row["splits"].values()) // each
    if authors > len(names):
        raise UserError(f"authors: {authors} authors, but there are only {len(names)} names")
    drawn = iter(random.permutation(len(names)))
    for split, count in row["splits"].items():
        if count % each:
            raise UserError(f"authors: {count} questions in {split}, no multiple of {each}")
        for author in range(count // each):
            name = names[next(drawn)]
            for fact in FACTS[:each]:
                yield _question(split, author, name, fact, random)


def _question(
    split: str, author: int, name: str, fact: Fact, random: "np.random.Generator"
) -> Question:
    right, *wrong = random.permutation(fact.values)[: WRONG_ANSWERS + 1]
    asked, *wordings = (wording.format(name=name) for wording in fact.wordings)
    return Question(
        split,
        author,
        asked,
        fact.answer.format(name=name, value=right),
        tuple(wordings),
        fact.paraphrase.format(name=name, value=right),
        tuple(fact.paraphrase.format(name=name, value=value) for value in wrong),
    )


SOURCES = {
    "authors": Source(read_authors, options=AuthorOptions, has_questions=True),
    "letters": Source(read_letters, options=LetterOptions),
    "scikit-learn-digits": Source(read_digits),
}
