"""Folders of the library in which a file is a choice: merge and unlearning methods, data sources.

Listing them imports nothing, so a study can be checked without loading torch; and a job imports
only the file that it uses, so editing one method leaves the others' results alone.
"""

import ast
import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

from negmerge.errors import UserError, unknown

PACKAGE = Path(__file__).parent

TABLES = "reporting/tables"
FIGURES = "reporting/figures"
MERGE_METHODS = "merging/methods"
UNLEARN_METHODS = "unlearning/methods"
SOURCES = "data/sources"
SCENARIOS = "scenarios"


@cache
def names(folder: str) -> tuple[str, ...]:
    """List the choices in a folder: its files' names with `-` for `_`."""
    files = (PACKAGE / folder).glob("*.py")
    return tuple(sorted(f.stem.replace("_", "-") for f in files if f.stem != "__init__"))


def path(folder: str, name: str) -> Path:
    """Give the file of a choice.

    Raises:
        UserError: there is no such choice.
    """
    if name not in names(folder):
        raise UserError(unknown(folder.split("/")[-1].removesuffix("s"), name, names(folder)))
    return PACKAGE / folder / f"{name.replace('-', '_')}.py"


def load(folder: str, name: str) -> ModuleType:
    """Import the file of a choice.

    Raises:
        UserError: there is no such choice.
    """
    module = path(folder, name).relative_to(PACKAGE).with_suffix("")
    return importlib.import_module(".".join((PACKAGE.name, *module.parts)))


@cache
def title(folder: str, name: str) -> str:
    """Read what tables call a method from the text of its file, since importing it loads torch.

    Raises:
        UserError: there is no such choice, or its file gives no `title="..."`.
    """
    for node in ast.walk(ast.parse(path(folder, name).read_text())):
        if isinstance(node, ast.keyword) and node.arg == "title":
            return ast.literal_eval(node.value)
    raise UserError(f'{path(folder, name)}: no title; expected METHOD = Method(..., title="...")')
