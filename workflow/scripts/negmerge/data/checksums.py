"""Is a file of a data set the one that it should be?

Its row has size and checksums as far as somebody has published them. An MD5 or nothing is all
that is known of some files, and some come over plain http. So where the row lacks the size or the
SHA-256, both are written beside the file when it first comes, and each later download, and each
reading, must be equal. No rule knows of this record: it survives, and nothing is made anew for its
sake.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import read_json, sha256, write_json

KINDS = ("sha256", "md5")
FIRST = ("bytes", "sha256")
BLOCK = 2**20


def difference(path: str | Path, file: Mapping) -> str | None:
    """Return what is wrong with a file that is not what its row says; None if it is right.

    Args:
        path: the file.
        file: `bytes`, `sha256` and `md5`, each None where it is not known. Size and checksums were
            published by different people: the file is right if it has the size and one of the
            checksums, since no other file has that. Where no checksum is known, the size counts.
    """
    size = Path(path).stat().st_size
    if file["bytes"] not in (None, size):
        return f"found {size} bytes"
    sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in KINDS if file[kind]}
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            for one in sums.values():
                one.update(block)
    found = {kind: one.hexdigest() for kind, one in sums.items()}
    if not found or any(found[kind] == file[kind] for kind in found):
        return None
    return ", ".join([f"found {size} bytes", *(f"{kind} {found[kind]}" for kind in found)])


def expectation(file: Mapping) -> str:
    """Name the size and the checksums that are known."""
    known = [f"{file['bytes']} bytes"] if file["bytes"] else []
    known += [f"{kind} {file[kind]}" for kind in KINDS if file[kind]]
    return ", ".join(known) or "what its address gives"


def place_of_first(path: str | Path) -> Path:
    """Return the place of the record of what a file was when it first came."""
    return Path(f"{path}.first-seen.json")


def record_first(path: str | Path, file: Mapping) -> None:
    """Write down what a file is, if its row does not say it all and there is no record.

    If nothing can be written, as in a folder that others share, a line says so, without an error.
    """
    if all(file[key] for key in FIRST) or place_of_first(path).exists():
        return
    try:
        write_json(place_of_first(path), _facts(path))
    except UserError as error:
        print(f"not recorded: {error}")


def difference_from_first(path: str | Path, content: str | Path, file: Mapping) -> str | None:
    """Return in what a file is not the one that came first; None if it is, or if none was recorded.

    Args:
        path: where the file belongs; its record is beside it.
        content: where the file is.
        file: what its row says; with size and SHA-256 the row alone counts.

    Raises:
        UserError: the record cannot be read.
    """
    place = place_of_first(path)
    if all(file[key] for key in FIRST) or not place.exists():
        return None
    first, found = read_json(place, FIRST), _facts(content)
    if all(found[key] == first[key] for key in FIRST):
        return None
    says, is_now = (f"{one['bytes']} bytes, sha256 {one['sha256']}" for one in (first, found))
    return (
        f"found {is_now}, but {place} says {says}; delete the file and run again, or delete the "
        "record if the new file is right"
    )


def _facts(path: str | Path) -> dict[str, object]:
    return {"bytes": Path(path).stat().st_size, "sha256": sha256(path)}


def verify(path: str | Path, file: Mapping) -> None:
    """Check a file at its place, whoever put it there.

    Raises:
        UserError: it is not the one that the row describes or that came first, or cannot be read.
    """
    try:
        found = difference(path, file)
        changed = None if found else difference_from_first(path, path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if found:
        raise UserError(
            f"{path}: not the right file: {found}, expected {expectation(file)}; delete it and run "
            "again"
        )
    if changed:
        raise UserError(f"{path}: not the file that came first: {changed}")
    record_first(path, file)


def verify_all(paths: Mapping[str, str], files: Mapping[str, str | Mapping]) -> None:
    """Check those files of a data set that were downloaded.

    Args:
        paths: where the files are, by the names that the source reads.
        files: what the row says of them; plain paths are the user's own and not checked.

    Raises:
        UserError: as `verify`.
    """
    for name, file in files.items():
        if not isinstance(file, str):
            verify(paths[name], file)
