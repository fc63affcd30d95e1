"""Checksums of files, computed behind those who read the files for something else."""

import mmap
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol

from blake3 import blake3

from negmerge.checkpoints.stored import StoredState

# How many bytes a checksum lets itself fall behind.
STRETCH = 2**24


class Files(Protocol):
    """What lies in files: a stored state, an adapter."""

    files: list[Path]


class Part(Protocol):
    """A part of a tensor that was read: up to the number `stop` of the flattened tensor."""

    name: str
    stop: int


class Checksums:
    """BLAKE3 of files, each byte of which is read from the disk once.

    Blocks of numbers are read in the order in which they lie in most files. So a file's checksum
    goes through its bytes a little behind the blocks, while they are in the page cache. What no
    block needs, and what lies in another order, is read at the end.

    Args:
        members: what lies in the files.
        threads: how many files are read at a time at the end.
    """

    def __init__(self, members: Iterable[Files], threads: int = 1):
        members = list(members)
        self._states = [member for member in members if isinstance(member, StoredState)]
        self._files = {path: _File(path) for member in members for path in member.files}
        self._threads = threads

    def follow(self, part: Part) -> None:
        """Note that a part of a tensor of each state was read, and go on in one of the files.

        Threads may call it at once.
        """
        for state in self._states:
            place = state.place(part.name)
            if place is not None:
                path, start = place
                file = self._files[path]
                file.reached = max(
                    file.reached, start + part.stop * state.dtype(part.name).itemsize
                )
        last = max(self._files.values(), key=_File.behind)
        if last.behind() >= STRETCH:
            last.advance()

    def known(self) -> dict[Path, str]:
        """Return the checksum of each file as hexadecimal digits, after the bytes that are left."""
        with ThreadPoolExecutor(self._threads) as executor:
            found = executor.map(_File.finished, self._files.values())
            return dict(zip(self._files, found, strict=True))


def identity(member: Files, checksums: Mapping[Path, str]) -> list[dict[str, str]]:
    """Name the files of a state or adapter so that they are recognised in any place."""
    return [{"name": path.name, "blake3": checksums[path]} for path in member.files]


class _File:
    """The checksum of one file, in the making.

    Attributes:
        reached: the bytes that were read by others.
    """

    def __init__(self, path: Path):
        self.reached = 0
        self._path, self._done, self._hash, self._lock = path, 0, blake3(), Lock()

    def behind(self) -> int:
        """Return how many bytes were read by others, but not yet here; none while a thread does."""
        return 0 if self._lock.locked() else self.reached - self._done

    def advance(self) -> None:
        """Take in the bytes that were read by others, if no other thread does."""
        if self._lock.acquire(blocking=False):
            try:
                self._take(self.reached)
            finally:
                self._lock.release()

    def finished(self) -> str:
        """Take in what is left."""
        self._take(self._path.stat().st_size)
        return self._hash.hexdigest()

    @cached_property
    def _bytes(self) -> memoryview:
        """The file, mapped."""
        with open(self._path, "rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))

    def _take(self, stop: int) -> None:
        if self._done < stop:
            self._hash.update(self._bytes[self._done : stop])
            self._done = stop
