"""What a file was when it first came, where nobody has published its size and SHA-256.

An MD5 or nothing is all that is known of some files, and some come over plain http. So both are
written beside the file at its first download, and each later one, and each reading, must be equal.
No rule knows of the record: it survives, and nothing is made anew for its sake.
"""

from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import read_json, sha256, write_json

KEYS = ("bytes", "sha256")


def place(path: str | Path) -> Path:
    """Give the place of the record of a file."""
    return Path(f"{path}.first-seen.json")


def record(path: str | Path, file: Mapping) -> None:
    """Write down what a file is, if its row does not say it all and there is no record.

    Where nothing can be written, as in a folder that others share, that is told and no error.
    """
    if all(file[key] for key in KEYS) or place(path).exists():
        return
    try:
        write_json(place(path), _found(path))
    except UserError as error:
        print(f"not recorded: {error}")


def difference(path: str | Path, content: str | Path, file: Mapping) -> str | None:
    """Say in what a file is not the one that came first; None if it is, or if none was recorded.

    Args:
        path: where the file belongs; its record lies beside it.
        content: where the file lies.
        file: what its row says; with size and SHA-256 the row alone counts.

    Raises:
        UserError: the record cannot be read.
    """
    if all(file[key] for key in KEYS) or not place(path).exists():
        return None
    first, found = read_json(place(path), KEYS), _found(content)
    if all(found[key] == first[key] for key in KEYS):
        return None
    return (
        f"found {_words(found)}, but {place(path)} says {_words(first)}; delete the file and run "
        "again, or delete the record if the new file is right"
    )


def _found(path: str | Path) -> dict[str, object]:
    return {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}


def _words(found: Mapping) -> str:
    return f"{found['bytes']} bytes, sha256 {found['sha256']}"
