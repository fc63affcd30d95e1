"""Reading archives from the internet, member by member, without unpacking anything to the disk.

An archive is somebody else's data: names that lead out of it, links, devices, and more members or
bytes than the data set can have are refused before anything of them is read.
"""

import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from negmerge.errors import UserError

# Far above what the archives of the known data sets hold for each image that is used: SUN397's has
# 2.7 members and 1 MB of each, CUB-200-2011's some lists of 10 MB.
MEMBERS_PER_IMAGE, OTHER_MEMBERS = 4, 10_000
BYTES_PER_IMAGE, OTHER_BYTES = 2**22, 2**30
MEMBER_BYTES = 2**28

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
)


@dataclass(frozen=True)
class Limits:
    """How much an archive may hold: so many members, and bytes when unpacked."""

    members: int
    size: int

    @classmethod
    def of(cls, row: Mapping) -> "Limits":
        """Derive the limits from the number of images in a data set's row."""
        images = sum(row["splits"].values())
        return cls(
            MEMBERS_PER_IMAGE * images + OTHER_MEMBERS, BYTES_PER_IMAGE * images + OTHER_BYTES
        )


@dataclass(frozen=True)
class Member:
    """A file in an archive, to be read before the next one is asked for.

    Attributes:
        archive: the archive, for errors.
        name: its path in the archive, without a leading `./`.
        size: its bytes when unpacked.
        open: opens it for reading.
    """

    archive: object
    name: str
    size: int
    open: Callable[[], BinaryIO]

    def read(self) -> bytes:
        """Give its content.

        Raises:
            UserError: it is too large for the memory, or the archive is truncated or broken.
        """
        if self.size > MEMBER_BYTES:
            raise UserError(
                f"{self.archive}: {self.name!r} has {self.size} bytes, expected at most "
                f"{MEMBER_BYTES}"
            )
        with _one_line(self.archive), self.open() as stream:
            return stream.read()


def members(path: str, limits: Limits, stream: BinaryIO | None = None) -> Iterator[Member]:
    """Give the files in a zip or tar archive, in its order; folders are left out.

    A folder on the disk, in which somebody has unpacked an archive, counts as one.

    Args:
        path: the archive, also for errors.
        limits: how much it may hold.
        stream: its content, if it does not lie at `path` itself but in another archive.

    Raises:
        UserError: it is no whole archive, holds more than the limits allow, or a member that no
            data set needs: a link, a device, a path outside of the archive, an encrypted file.
    """
    count = size = 0
    with _one_line(path):
        for member in _reader(path, stream):
            count, size = count + 1, size + (member.size if member else 0)
            if count > limits.members or size > limits.size:
                raise UserError(
                    f"{path}: more than {limits.members} members or {limits.size} bytes, the data "
                    "set has not so many"
                )
            if member:
                yield member


def read_members(path: str, limits: Limits, names: list[str]) -> list[bytes]:
    """Read some files of an archive, in the order of their names here.

    Raises:
        UserError: as `members`, or there is no such file.
    """
    found: dict[str, bytes] = {}
    for member in members(path, limits):
        if member.name in names:
            found[member.name] = member.read()
        if len(found) == len(names):
            break
    for name in names:
        if name not in found:
            raise UserError(f"{path}: holds no {name}")
    return [found[name] for name in names]


@contextmanager
def _one_line(path: object) -> Iterator[None]:
    """Turn what the readers of archives raise into an error of one line."""
    try:
        yield
    except BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a whole archive ({reason:.200})") from error


def _reader(path: str, stream: BinaryIO | None) -> Iterator[Member | None]:
    """Choose how an archive is read; for a folder in it, None is given."""
    if stream is not None:
        return _tar_members(path, stream)
    if Path(path).is_dir():
        return _folder_members(Path(path))
    # zipfile.is_zipfile looks at the end, where a tar file may hold a zip file.
    with open(path, "rb") as archive:
        return _zip_members(path) if archive.read(2) == b"PK" else _tar_members(path, None)


def _folder_members(folder: Path) -> Iterator[Member]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            yield Member(folder, name, path.stat().st_size, partial(path.open, "rb"))


def _zip_members(path: str) -> Iterator[Member | None]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UserError(f"{path}: {info.filename!r} is a link or a device, expected files")
            if info.flag_bits & 1:
                raise UserError(f"{path}: {info.filename!r} is encrypted")
            name = _inside(path, info.filename)
            if info.is_dir():
                yield None
            else:
                yield Member(path, name, info.file_size, lambda info=info: archive.open(info))


def _tar_members(path: str, stream: BinaryIO | None) -> Iterator[Member | None]:
    with tarfile.open(path, "r:*", fileobj=stream) as archive:
        for info in archive:
            if not (info.isreg() or info.isdir()):
                raise UserError(f"{path}: {info.name!r} is a link or a device, expected files")
            name = _inside(path, info.name)
            if info.isdir():
                yield None
            else:
                yield Member(path, name, info.size, lambda info=info: archive.extractfile(info))


def _inside(path: object, name: str) -> str:
    """Give a member's name in one form, if it stays inside the archive."""
    parts = name.replace("\\", "/").split("/")
    if name[:1] in ("/", "\\") or ".." in parts or ":" in parts[0]:
        raise UserError(f"{path}: {name!r} leads out of the archive")
    return str(PurePosixPath(name))
