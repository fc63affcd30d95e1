"""Files of code that build a classifier of one's own: where they are, and their checksum.

Nothing here runs them; `negmerge.models.own_code` does.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError

FACTORY, TORCH_HUB = "factory", "torch-hub"
KINDS = (FACTORY, TORCH_HUB)
# A path is relative to the working folder, or to that of the workflow.
WORKFLOW = Path(__file__).resolve().parents[4]
GITHUB = re.compile(r"([\w.-]+)/([\w.-]+):([0-9a-f]{40})")
HUBCONF = "hubconf.py"


def check(architecture: Mapping) -> None:
    """Check how a row names its code, which need not be there for it."""
    kind, key = architecture["kind"], "name"
    value, text = str(architecture.get("name", "")), "the name of an entry"
    is_right = bool(value)
    if kind == FACTORY:
        file, _, function = value.rpartition(":")
        text, is_right = "FILE.py:FUNCTION", file.endswith(".py") and function.isidentifier()
    elif is_right:
        key, value = "repository", str(architecture.get("repository", ""))
        # OWNER/NAME without a commit would be another network when somebody pushes.
        text = f"OWNER/NAME:COMMIT, with 40 digits, or a folder with {HUBCONF}"
        is_right = bool(GITHUB.fullmatch(value) or (value and ":" not in value))
    if not is_right:
        raise ValueError(f"architecture.{key} is {value!r}, expected {text}")
    if not isinstance(architecture.get("options", {}), Mapping):
        raise ValueError("architecture.options: expected arguments by name")


def on_github(repository: str) -> tuple[str, str, str] | None:
    """Return owner, name and commit of a repository, unless it is a folder."""
    parts = GITHUB.fullmatch(repository)
    return parts and parts.groups()


def place(path: str) -> Path:
    """Return where the user's file is, or one of the workflow."""
    places = [Path(path), WORKFLOW / path]
    return next((place for place in places if place.exists()), places[0])


def files(architecture: Mapping) -> list[Path]:
    """Return the files of code here that decide what the network is."""
    if architecture["kind"] == FACTORY:
        paths = [place(architecture["name"].rpartition(":")[0])]
    elif on_github(architecture["repository"]):
        return []
    else:
        folder = place(architecture["repository"])
        paths = sorted({folder / HUBCONF, *folder.rglob("*.py")})
    for path in paths:
        if not path.is_file():
            raise UserError(f"{path}: no such file, but `architecture` of a model's row names it")
    return paths


def digest(architecture: Mapping) -> str:
    """Return a checksum of these files."""
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files(architecture)]
    return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()
