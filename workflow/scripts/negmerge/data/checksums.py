"""Whether a file of a data set is the one that its row names, as far as size and checksums go."""

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from negmerge.errors import UserError

KINDS = ("sha256", "md5")


def difference(path: str | Path, file: Mapping) -> str | None:
    """Return what is wrong with a file that is not what its row says; None if it is right."""
    size = Path(path).stat().st_size
    if file["bytes"] not in (None, size):
        return f"found {size} bytes"
    checksums = {}
    for kind in KINDS:
        if file[kind]:
            with open(path, "rb") as stream:
                algorithm = partial(hashlib.new, kind, usedforsecurity=False)
                checksums[kind] = hashlib.file_digest(stream, algorithm).hexdigest()
            # Size and checksums were published by different people: one right checksum is enough.
            if checksums[kind] == file[kind]:
                return None
    if not checksums:
        return None
    return ", ".join([f"found {size} bytes", *(f"{kind} {checksums[kind]}" for kind in checksums)])


def expectation(file: Mapping) -> str:
    """Name the size and the checksums that are known."""
    sums = [f"{kind} {file[kind]}" for kind in KINDS if file[kind]]
    size = [f"{file['bytes']} bytes"] if file["bytes"] else []
    return ", ".join(size + sums) or "what its address gives"


def verify(path: str | Path, file: Mapping) -> None:
    """Check a file at its place, whoever put it there."""
    try:
        finding = difference(path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if finding:
        raise UserError(
            f"{path}: not the right file: {finding}, expected {expectation(file)}; delete it and "
            "run again"
        )
