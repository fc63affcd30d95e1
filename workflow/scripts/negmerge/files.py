"""Files that are either whole or absent: each is written beside its place and renamed."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from negmerge.errors import UserError

# What a user can mend when a file cannot be written.
UNWRITABLE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.ENOTDIR,
    errno.EEXIST,
    errno.EISDIR,
)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, and rename it to `path` when the block ends well.

    A block that fails, or a process that is killed, leaves `path` as it was.

    Raises:
        UserError: the disk is full, the quota is used up, the folder is read-only or no folder.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        # Some writers make files that only their owner can read.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(partial, 0o666 & ~umask)
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, path)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        raise
    except Exception as error:
        # safetensors reports a full disk as an error of its own, with the system's number inside.
        if f"os error {errno.ENOSPC}" in str(error) or f"code: {errno.ENOSPC}," in str(error):
            raise UserError(f"{path}: cannot be written: {os.strerror(errno.ENOSPC)}") from error
        raise
    finally:
        with suppress(NotADirectoryError):
            partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with replacing(path) as partial:
        partial.write_bytes(text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON. NaN and infinity are refused: they are not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path) -> dict:
    """Read a JSON object.

    Raises:
        UserError: the file is not JSON.
    """
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise UserError(f"{path}: not a JSON file ({error}); delete it and run again") from error


def sha256(path: str | Path) -> str:
    """Give the SHA-256 of a file as hexadecimal digits."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
