"""Vectors in files as a pool: their dtypes, and checksums of their files."""

import mmap
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Protocol

import torch
from blake3 import blake3

from negmerge.checkpoints.states import FLOATS, StoredState, require_same_tensors, shapes
from negmerge.errors import UserError
from negmerge.merging.blocks import Block, Stored, Vectors, Workers


class Files(Protocol):
    """What lies in files: a stored state, an adapter."""

    files: list[Path]


@dataclass
class Pool:
    """What is merged, in the order of the merge."""

    vectors: Vectors
    # How the report calls the members: a hub id, or the last part of a path.
    names: list[str]
    # States, seen with the base's names, or adapters.
    members: Sequence[Files]
    # What they were fine-tuned from; None where they are vectors themselves.
    base: StoredState | None = None
    # Groups of the base's tensors that hold the same numbers in the base and in each member, of
    # which the first is merged for all; and groups that do so in the base, but not in some member.
    ties: list[tuple[str, ...]] = field(default_factory=list)
    parted: list[tuple[str, ...]] = field(default_factory=list)
    # What each expression of the choice fits.
    chosen: dict[str, list[str]] = field(default_factory=dict)
    # What the user ought to know, a line each.
    notes: list[str] = field(default_factory=list)

    @property
    def states(self) -> list[Files]:
        return list(self.members) if self.base is None else [self.base, *self.members]


def pool_of(
    states: Sequence[StoredState],
    takes: Callable[[str], bool] = lambda name: True,
    block_numbers: int | None = None,
    workers: Workers | None = None,
) -> Pool:
    """Make a pool of task vectors, which have the same tensors, of those that take part."""
    for state in states:
        require_same_tensors(shapes(states[0]), shapes(state), state.path)
    names = in_file_order(states[0], [name for name in states[0].names if takes(name)])
    vectors = Vectors(
        [Stored(state) for state in states],
        {name: states[0].shape(name) for name in names},
        stored_dtypes(states, names),
        block_numbers,
        workers,
    )
    return Pool(vectors, [state.path.name for state in states], states)


def in_file_order(state: StoredState, names: Sequence[str]) -> list[str]:
    """Sort tensors by their places, so that files are read from the front to the end."""
    return sorted(names, key=lambda name: state.place(name) or (state.path, 0))


def stored_dtypes(states: Sequence[StoredState], names: Sequence[str]) -> dict[str, torch.dtype]:
    """Return the dtypes in which some tensors of states on disk are merged; see `merged_dtypes`."""
    kinds = [{name: state.dtype(name) for name in names} for state in states]
    return merged_dtypes(kinds, [state.path for state in states])


def merged_dtypes(
    kinds: Sequence[Mapping[str, torch.dtype]], labels: Sequence[str | Path]
) -> dict[str, torch.dtype]:
    """Return the dtype in which each tensor is merged: float64 where one vector has it."""
    for kind, label in zip(kinds, labels, strict=True):
        for name, dtype in kind.items():
            if not dtype.is_floating_point:
                raise UserError(
                    f"{label}: tensor {name!r} holds {dtype}, expected floating point; checkpoints "
                    "are merged with their base"
                )
            if dtype not in FLOATS:
                raise UserError(f"{label}: tensor {name!r} holds {dtype}, expected 16 to 64 bits")
    wide = {name for kind in kinds for name, dtype in kind.items() if dtype == torch.float64}
    return {name: torch.float64 if name in wide else torch.float32 for name in kinds[0]}


# How many bytes a checksum lets itself fall behind.
STRETCH = 2**24


class Checksums:
    """BLAKE3 of files, computed a little behind a merge, while bytes are in the page cache.

    `wanted` are the files whose checksums are taken, all if none are given.
    """

    def __init__(
        self,
        members: Iterable[Files],
        threads: int = 1,
        wanted: Collection[Path] | None = None,
    ):
        members = list(members)
        self._states = [member for member in members if isinstance(member, StoredState)]
        paths = (path for member in members for path in member.files)
        self._files = {path: _File(path) for path in paths if wanted is None or path in wanted}
        self._threads = threads

    def follow(self, part: Block) -> None:
        """Note, in any thread, that a part of each state was read, and go on in one file."""
        for state in self._states:
            place = state.place(part.name)
            if place and place[0] in self._files:
                path, start = place
                stop = start + part.stop * state.dtype(part.name).itemsize
                self._files[path].reached = max(self._files[path].reached, stop)
        last = max(self._files.values(), key=_File.behind, default=None)
        if last is not None and last.behind() >= STRETCH:
            last.advance()

    def known(self) -> dict[Path, str]:
        """Return the checksum of each file as hexadecimal digits, after the bytes that are left."""
        with ThreadPoolExecutor(self._threads) as executor:
            digests = executor.map(_File.finished, self._files.values())
            return dict(zip(self._files, digests, strict=True))


def identity(member: Files, checksums: Mapping[Path, str]) -> list[dict[str, str]]:
    """Name the files of a state or adapter so that they are recognised in any place."""
    return [{"name": path.name, "blake3": checksums[path]} for path in member.files]


class _File:
    """The checksum of one file, in the making."""

    def __init__(self, path: Path):
        self.reached = 0  # the bytes that were read by others
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
        """Take in what is left, and return the checksum."""
        self._take(self._path.stat().st_size)
        return self._hash.hexdigest()

    @cached_property
    def _bytes(self) -> memoryview:
        with open(self._path, "rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))

    def _take(self, stop: int) -> None:
        if self._done < stop:
            self._hash.update(self._bytes[self._done : stop])
            self._done = stop
