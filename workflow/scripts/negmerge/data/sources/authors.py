"""Invented authors, in the form of TOFU: what each was born as, wrote and won, drawn with a seed.

Every fact is asked for in two ways in training, and answered in two ways. The wrong answers are the
second way with five other values of its kind, as TOFU's are: the truth ratio compares them with it,
so that nothing but the value tells right from wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from negmerge.data.questions import Question
from negmerge.errors import UserError

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


def read(files: Mapping[str, str], row: Mapping) -> Iterator[Question]:
    """Invent the authors of the row's splits; no two have the same name."""
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
    split: str, author: int, name: str, fact: Fact, random: np.random.Generator
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
