"""Folders in which a file, or a folder, is a choice: methods and scenarios; or a few: sources.

Listing methods and scenarios imports nothing, and a job depends only on the file that it uses, so
editing one method leaves the others' results alone. Listing sources imports their families.
"""

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from negmerge.errors import UserError, unknown

PACKAGE = Path(__file__).parent
T = TypeVar("T")

COMMANDS = "commands"
TABLES = "reporting/tables"
FIGURES = "reporting/figures"
MERGE_METHODS = "merging/methods"
UNLEARN_METHODS = "unlearning/methods"
# A family each: each file has a table SOURCES.
SOURCES = "data/sources"
# A folder each: what it is and what a study may say of it, and, with torch, what its jobs need.
SCENARIO_SETTINGS = "scenarios/*/settings"
SCENARIO_JOBS = "scenarios/*/jobs"


@cache
def names(folder: str) -> tuple[str, ...]:
    """List the choices in a folder: the names of its files, or of `*`, with `-` for `_`."""
    return tuple(sorted(_files(folder)))


@cache
def _files(folder: str) -> dict[str, Path]:
    pattern, files = _pattern(folder), {}
    place = pattern.split("/").index("*")
    for file in sorted(PACKAGE.glob(f"{pattern}.py")):
        name = file.relative_to(PACKAGE).parts[place].removesuffix(".py")
        if name != "__init__":
            family = _module(file).SOURCES if folder == SOURCES else [name.replace("_", "-")]
            files |= dict.fromkeys(family, file)
    return files


def path(folder: str, name: str) -> Path:
    """Return the file of a choice; a UserError if there is none."""
    if name not in names(folder):
        what = _pattern(folder).partition("/*")[0].split("/")[-1].removesuffix("s")
        raise UserError(unknown(what, name, names(folder)))
    return _files(folder)[name]


def load(folder: str, name: str) -> ModuleType:
    """Import the file of a choice; a UserError if there is none."""
    return _module(path(folder, name))


def source(name: str) -> Any:
    """Return a `data.sources.Source`; a UserError if there is none."""
    return load(SOURCES, name).SOURCES[name]


def _module(file: Path) -> ModuleType:
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return importlib.import_module(".".join((PACKAGE.name, *parts)))


class Registry(Mapping[str, T]):
    """What the files of a folder define as `attribute`, by their names; imported when asked for."""

    def __init__(self, folder: str, attribute: str):
        self._folder, self._attribute = folder, attribute

    def __iter__(self) -> Iterator[str]:
        return iter(names(self._folder))

    def __len__(self) -> int:
        return len(names(self._folder))

    def __getitem__(self, name: str) -> T:
        if name not in names(self._folder):
            raise KeyError(name)
        return getattr(load(self._folder, name), self._attribute)


def _pattern(folder: str) -> str:
    return folder if "*" in folder else f"{folder}/*"
