"""Folders in which a file, or a folder, is a choice: methods, data sources and scenarios.

Listing them imports nothing, and a job imports only the file that it uses, so editing one method
leaves the others' results alone.
"""

import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from negmerge.errors import UserError, unknown

PACKAGE = Path(__file__).parent
T = TypeVar("T")

COMMANDS = "commands"
TABLES = "reporting/tables"
FIGURES = "reporting/figures"
MERGE_METHODS = "merging/methods"
UNLEARN_METHODS = "unlearning/methods"
SOURCES = "data/sources"  # a family a file
# A folder each: what it is and what a study may say of it, and, with torch, what its jobs need.
SCENARIO_SETTINGS = "scenarios/*/settings"
SCENARIO_JOBS = "scenarios/*/jobs"


@cache
def names(folder: str) -> tuple[str, ...]:
    """List the choices in a folder: the names of its files, or of `*`, with `-` for `_`."""
    pattern = _pattern(folder)
    place = pattern.split("/").index("*")
    files = (file.relative_to(PACKAGE) for file in PACKAGE.glob(f"{pattern}.py"))
    found = {file.with_suffix("").parts[place] for file in files}
    return tuple(sorted(name.replace("_", "-") for name in found - {"__init__"}))


def path(folder: str, name: str) -> Path:
    """Return the file of a choice; a UserError if there is none."""
    if name not in names(folder):
        what = _pattern(folder).partition("/*")[0].split("/")[-1].removesuffix("s")
        raise UserError(unknown(what, name, names(folder)))
    return PACKAGE / f"{_pattern(folder).replace('*', name.replace('-', '_'))}.py"


def load(folder: str, name: str) -> ModuleType:
    """Import the file of a choice; a UserError if there is none."""
    module = path(folder, name).relative_to(PACKAGE).with_suffix("")
    return importlib.import_module(".".join((PACKAGE.name, *module.parts)))


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
