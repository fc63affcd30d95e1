"""Is a file the one that it should be? By its size and checksums in the data set's row."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from negmerge.data import first_seen
from negmerge.errors import UserError

KINDS = ("sha256", "md5")
BLOCK = 2**20


def checksums(path: str | Path, kinds: tuple[str, ...] = KINDS) -> dict[str, str]:
    """Read a file once and give its checksums, as hexadecimal digits."""
    sums = {kind: hashlib.new(kind, usedforsecurity=False) for kind in kinds}
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            for one in sums.values():
                one.update(block)
    return {kind: one.hexdigest() for kind, one in sums.items()}


def difference(path: str | Path, file: Mapping) -> str | None:
    """Say what a file is that is not what its row says; None if it is the right one.

    Args:
        path: the file.
        file: `bytes`, `sha256` and `md5`, each None where it is not known. Size and checksums were
            published by different people: the file is right if it has the size and one of the
            checksums, since no other file has that.
    """
    size = Path(path).stat().st_size
    if file["bytes"] not in (None, size):
        return f"found {size} bytes"
    found = checksums(path, tuple(kind for kind in KINDS if file[kind]))
    if any(found[kind] == file[kind] for kind in found):
        return None
    return ", ".join([f"found {size} bytes", *(f"{kind} {found[kind]}" for kind in found)])


def expectation(file: Mapping) -> str:
    """Name the size and the checksums that are known."""
    known = [f"{file['bytes']} bytes"] if file["bytes"] else []
    return ", ".join([*known, *(f"{kind} {file[kind]}" for kind in KINDS if file[kind])])


def verify(path: str | Path, file: Mapping) -> None:
    """Check a file that lies at its place, whoever put it there.

    Of a file whose row lacks the size or the SHA-256, both are recorded when it is first seen, and
    compared from then on.

    Raises:
        UserError: it is not the one that the row describes or that came first, or cannot be read.
    """
    try:
        found = difference(path, file)
        changed = None if found else first_seen.difference(path, path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if found:
        raise UserError(
            f"{path}: not the right file: {found}, expected {expectation(file)}; delete it and run "
            "again"
        )
    if changed:
        raise UserError(f"{path}: not the file that came first: {changed}")
    first_seen.record(path, file)


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
