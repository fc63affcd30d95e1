"""The folder beside an output in which it is made, and how the result takes the output's place."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable


@contextmanager
def working(output: Path, folder: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder to make an output in, which is gone at the end, whatever happens.

    What a killed run left there is removed first. `folder`, in which it lies, is beside the output
    if none is given.
    """
    folder = folder or output.with_name(f".{output.name}.partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with only_one(folder, output):
            try:
                for path in folder.iterdir():
                    remove(path)
                content = folder / "content"
                content.mkdir()
                yield content
            finally:
                remove(folder)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(output, error.errno) from error
        raise


def publish(result: Path, output: Path) -> None:
    """Put a file or folder in the place of the output; what was there stays beside the result."""
    # A file is replaced at once, a folder has to go before another takes its place.
    if output.is_dir() or (output.exists() and result.is_dir()):
        os.rename(output, result.with_name(f"{result.name}.old"))
    os.replace(result, output)


@contextmanager
def only_one(folder: Path, output: Path) -> Iterator[None]:
    """Hold a lock on a folder, which the system takes back however the process ends."""
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{output}: another process is writing it") from None
    finally:
        os.close(lock)


def remove(path: Path) -> None:
    """Remove a file or folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
