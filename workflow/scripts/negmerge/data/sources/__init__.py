"""Where data sets come from: each file has a family of sources, by name in its table `SOURCES`.

A source's `read` takes the paths of a data set's files, by their names, and its row. It yields
split, label, image (PIL, a member of an archive, or bytes) and perhaps a sort key; or `Question`s.
Settings import all families, so the functions that read import what takes time.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from negmerge.data.splits import SPLITS
from negmerge.settings.recipe import Settings

Split = Literal[SPLITS]
Names = Annotated[list[str], Field(min_length=1)]
Files = Mapping[str, str]


@dataclass(frozen=True)
class Source:
    """How files are read, and what is needed of a row for that."""

    read: Callable[[Files, Mapping], Iterator]
    # The names of the files that are read, by the options and the splits of a row.
    files: Callable[[Any, Collection[str]], Collection[str]] = lambda options, splits: ()
    options: type[Settings] = Settings
    has_questions: bool = False
    # Whether class names in the files are compared with those of prompts.yaml.
    has_class_names: bool = False


def images_only(options: Settings, splits: Collection[str]) -> tuple[str, ...]:
    """Name the file of a source that reads one archive."""
    return ("images",)
