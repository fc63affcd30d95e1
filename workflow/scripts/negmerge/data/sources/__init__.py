"""Where data sets come from: a file a family of sources, with the options and the reader of each.

A reader, `read(files, row)`, goes from the paths of the source's files and the data set's row in
`config/datasets.yaml` to an iterator of (split, label, image), in the source's own order. An image
is a PIL image, or an image file: a member of an archive, which errors then name, or its bytes.
Where an archive gives the images in another order, a fourth entry, a tuple, says by what they are
sorted. A source of questions gives `data.questions.Question`s instead.

A file has the sources of its family in `SOURCES`; one with a `read` alone is a source of its own
name. Settings are read at every start and import all of these files, so that packages which take
long to import are imported where they are used.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from negmerge import plugins
from negmerge.settings.recipe import Settings

Names = Callable[[Any, Iterable[str]], Iterable[str]]


@dataclass(frozen=True)
class Source:
    """A kind of source, and what it needs of the row of a data set."""

    read: Callable[[Mapping[str, str], Mapping], Iterator]
    # The names of its files, or a function that gives them from its options and the row's splits;
    # None: the source checks its row itself.
    files: Iterable[str] | Names | None = None
    options: type[Settings] = Settings
    has_questions: bool = False  # and no images
    matches_names: bool = False  # compares the names of classes in its files with prompts.yaml

    @property
    def family(self) -> str:
        """The name of the file that defines it."""
        return self.read.__module__.rpartition(".")[2]


@cache
def known_sources() -> dict[str, Source]:
    """Return all kinds of sources by their names."""
    sources = {}
    for name in plugins.names(plugins.SOURCES):
        module = plugins.load(plugins.SOURCES, name)
        sources |= getattr(module, "SOURCES", None) or {name: Source(module.read)}
    return dict(sorted(sources.items()))
