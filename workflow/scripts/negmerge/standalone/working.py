"""The folder beside an output in which it is made, shard by shard, so that a run can go on."""

import fcntl
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, read_json, unwritable, write_json

PLAN = "plan.json"


class Working:
    """An output in the making: what an earlier run of the same plan has finished stays."""

    def __init__(self, output: Path, plan: dict):
        self.output, self._plan = output, plan
        self.folder = output.with_name(f".{output.name}.partial")
        self.content = self.folder / "content"
        self.done: dict[str, dict] = {}

    def begin(self) -> None:
        """Take over what an earlier run of the same plan has finished."""
        with suppress(UserError):
            before = read_json(self.folder / PLAN, ["plan", "done"])
            if before["plan"] == self._plan:
                files = before["done"].items()
                self.done = {file: note for file, note in files if (self.content / file).is_file()}
        self.content.mkdir(exist_ok=True)
        for path in self.content.iterdir():
            if path.name not in self.done:
                remove(path)
        self._note()

    def finish(self, file: str, note: dict) -> None:
        """Note that a shard is finished."""
        self.done[file] = note
        self._note()

    def publish(self, result: Path) -> None:
        """Put a file or folder in the place of the output."""
        old = self.output.with_name(f".{self.output.name}.old")
        remove(old)
        # A file is replaced at once, a folder has to go before another takes its place.
        if self.output.is_dir() or (self.output.exists() and result.is_dir()):
            os.rename(self.output, old)
        os.replace(result, self.output)
        remove(old)
        remove(self.folder)

    def _note(self) -> None:
        write_json(self.folder / PLAN, {"plan": self._plan, "done": self.done})


@contextmanager
def working(output: Path, plan: dict) -> Iterator[Working]:
    """Make an output; one that is not published leaves no trace but the shards that it finished."""
    work = Working(output, plan)
    try:
        work.folder.mkdir(parents=True, exist_ok=True)
        with only_one(work.folder, output):
            try:
                work.begin()
                yield work
            except BaseException as error:
                if isinstance(error, UserError) or not work.done:
                    remove(work.folder)
                raise
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(output, error.errno) from error
        raise


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


def stamps(files: Iterable[Path]) -> list[list]:
    """Describe files by absolute path, size and time of the last change, as JSON has it."""
    stats = [(file, file.stat()) for file in files]
    return [[str(file.absolute()), stat.st_size, stat.st_mtime_ns] for file, stat in stats]


def require_room(output: Path, needed: int) -> None:
    """Check that the disk has room for an output."""
    folder = next(path for path in output.absolute().parents if path.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{output}: needs {_size(needed)}, the disk has {_size(free)} free; make room and run "
            "again"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"
