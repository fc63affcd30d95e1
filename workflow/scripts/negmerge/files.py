"""Files that are either whole or absent: each is written beside its place and renamed."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from negmerge.errors import UserError

# What a user can mend when a file cannot be written, and how.
ROOM = "make room and run again"
RIGHTS = "make the place writable and run again"
UNWRITABLE = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EFBIG: ROOM,
    errno.EROFS: RIGHTS,
    errno.EACCES: RIGHTS,
    errno.EPERM: RIGHTS,
    errno.ENOTDIR: "",
    errno.EEXIST: "",
    errno.EISDIR: "",
}


def unwritable(path: str | Path, number: int) -> UserError:
    """Return the error of a file that cannot be written for one of the reasons in `UNWRITABLE`."""
    advice = f"; {UNWRITABLE[number]}" if UNWRITABLE[number] else ""
    return UserError(f"{path}: cannot be written: {os.strerror(number)}{advice}")


def require_writable(folders: Iterable[str | Path]) -> None:
    """Check that files can be made in folders, or above a folder that is not there."""
    for folder in map(Path, folders):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise unwritable(there, errno.ENOTDIR)
        if not os.access(there, os.W_OK | os.X_OK):
            raise unwritable(
                there, errno.EROFS if os.statvfs(there).f_flag & os.ST_RDONLY else errno.EACCES
            )


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and rename it to `path` when the block ends well.

    A block that fails, or a process that is killed, leaves `path` as it was.
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
            raise unwritable(path, error.errno) from error
        raise
    except Exception as error:
        # safetensors has an error of its own, with the system's number inside.
        told = re.search(r"(?:os error|code:) (\d+)\b", str(error))
        if told and int(told[1]) in UNWRITABLE:
            raise unwritable(path, int(told[1])) from error
        raise
    finally:
        # On a read-only disk this fails too.
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text with Unix line ends."""
    with replacing(path) as partial:
        partial.write_bytes(text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write `value` as indented JSON. NaN and infinity are refused: they are not JSON."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def read_json(path: str | Path, keys: Iterable[str] = ()) -> dict:
    """Read a JSON object, which must have some keys."""
    return _with_keys(path, _parsed(path), keys)


def read_json_records(path: str | Path, keys: Iterable[str] = ()) -> list[dict]:
    """Read a JSON list of objects, at least one, each of which must have some keys."""
    records = _parsed(path)
    if not isinstance(records, list) or not records:
        raise UserError(f"{path}: holds no JSON list of records; delete it and run again")
    keys = list(keys)
    return [_with_keys(path, record, keys) for record in records]


def _parsed(path: str | Path) -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a JSON file ({error}); delete it and run again") from error


def _with_keys(path: str | Path, record: object, keys: Iterable[str]) -> dict:
    if not isinstance(record, dict):
        raise UserError(f"{path}: holds no JSON object; delete it and run again")
    missing = [key for key in keys if key not in record]
    if missing:
        raise UserError(f"{path}: the key {missing[0]!r} is missing; delete it and run again")
    return record


def sha256(path: str | Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
