"""What is in one archive: a zip or tar file, or a folder in which somebody has unpacked one."""

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from negmerge.errors import UserError, one_line

MEMBER_BYTES = 2**28
BLOCK = 2**20

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ValueError,  # a place before the file's start, a name that is not text
    EOFError,
    OSError,
    NotImplementedError,  # a compression that zipfile does not know
)


@dataclass(frozen=True)
class Member:
    """A file in an archive, to be read before the next one is asked for."""

    archive: object  # the archive, for errors
    name: str  # its path in the archive, without a leading `./`
    size: int  # its bytes when unpacked
    open: Callable[[], BinaryIO]  # opens it for reading

    def __str__(self) -> str:
        """Name it in errors."""
        return f"{self.archive}: {self.name!r}"

    def read(self) -> bytes:
        """Return its content."""
        if self.size > MEMBER_BYTES:
            raise UserError(f"{self} has {self.size} bytes, expected at most {MEMBER_BYTES}")
        with errors_in_one_line(self.archive, f"{self.name!r}: "), self.open() as stream:
            return stream.read()


@contextmanager
def errors_in_one_line(path: object, member: str = "") -> Iterator[None]:
    """Turn what the readers of archives raise into an error of one line."""
    try:
        yield
    except BROKEN as error:
        reason = one_line(error)
        raise UserError(f"{path}: not a whole archive ({member}{reason:.200})") from error


def reader(path: str, stream: BinaryIO | None) -> Iterator[Member | None]:
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
            if info.flag_bits & 1:
                raise UserError(f"{path}: {info.filename!r} is encrypted")
            kind = stat.S_IFMT(info.external_attr >> 16)
            is_plain = kind in (0, stat.S_IFREG, stat.S_IFDIR)
            found = Member(path, info.filename, info.file_size, partial(archive.open, info))
            yield _checked(found, is_plain, info.is_dir())


class _Header(tarfile.TarInfo):
    """A header of a tar archive; tarfile takes one that is cut or broken for the archive's end."""

    @classmethod
    def frombuf(cls, buf: bytes, encoding: str, errors: str) -> "_Header":
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if buf.strip(b"\0"):
                raise tarfile.ReadError(f"a header is broken: {error}") from error
            raise


def _tar_members(path: str, stream: BinaryIO | None) -> Iterator[Member | None]:
    with tarfile.open(path, "r:*", fileobj=stream, tarinfo=_Header) as archive:
        for info in archive:
            found = Member(path, info.name, info.size, partial(archive.extractfile, info))
            yield _checked(found, info.isreg() or info.isdir(), info.isdir())
        _read_rest(archive.fileobj)


def _read_rest(stream: BinaryIO) -> None:
    """Read what follows the end of a tar archive: behind it a compressed file has its checksum."""
    size = 0
    while block := stream.read(BLOCK):
        size += len(block)
        if size > MEMBER_BYTES:
            raise tarfile.ReadError(f"more than {MEMBER_BYTES} bytes after its end")


def _checked(member: Member, is_plain: bool, is_folder: bool) -> Member | None:
    """Return a member with its name in one form, or None for a folder."""
    if not is_plain:
        raise UserError(f"{member} is a link or a device, expected files")
    name = member.name
    parts = name.replace("\\", "/").split("/")
    if name[:1] in ("/", "\\") or ".." in parts or ":" in parts[0]:
        raise UserError(f"{member} leads out of the archive")
    return None if is_folder else replace(member, name=str(PurePosixPath(name)))
