"""Is a file of a data set the one that it should be?

Its row has size and checksums as far as somebody has published them.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from negmerge.errors import UserError

KINDS = ("sha256", "md5")
BLOCK = 2**20


def difference(path: str | Path, file: Mapping) -> str | None:
    """Return what is wrong with a file that is not what its row says; None if it is right."""
    size = Path(path).stat().st_size
    if file["bytes"] not in (None, size):
        return f"found {size} bytes"
    sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in KINDS if file[kind]}
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            for one in sums.values():
                one.update(block)
    found = {kind: one.hexdigest() for kind, one in sums.items()}
    # Size and checksums were published by different people: one right checksum is enough.
    if not found or any(found[kind] == file[kind] for kind in found):
        return None
    return ", ".join([f"found {size} bytes", *(f"{kind} {found[kind]}" for kind in found)])


def expectation(file: Mapping) -> str:
    """Name the size and the checksums that are known."""
    known = [f"{file['bytes']} bytes"] if file["bytes"] else []
    known += [f"{kind} {file[kind]}" for kind in KINDS if file[kind]]
    return ", ".join(known) or "what its address gives"


def verify(path: str | Path, file: Mapping) -> None:
    """Check a file at its place, whoever put it there."""
    try:
        found = difference(path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if found:
        raise UserError(
            f"{path}: not the right file: {found}, expected {expectation(file)}; delete it and run "
            "again"
        )


def verify_all(paths: Mapping[str, str], files: Mapping[str, str | Mapping]) -> None:
    """Check those files of a data set that were downloaded."""
    for name, file in files.items():
        if not isinstance(file, str):
            verify(paths[name], file)
