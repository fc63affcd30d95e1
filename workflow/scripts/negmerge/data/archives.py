"""Reading archives from the internet, file by file, without unpacking anything to the disk.

An archive is a zip or tar file, or a folder in which somebody has unpacked one. Only its files are
read; folders, links and devices are left out. Text files and tables in them are read here too.
"""

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from negmerge.errors import UserError, one_line

T = TypeVar("T")

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
    RuntimeError,  # a compression that zipfile does not know, an encrypted file
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
        with _errors_in_one_line(self.archive, f"{self.name!r}: "), self.open() as stream:
            return stream.read()


@contextmanager
def _errors_in_one_line(path: object, member: str = "") -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        reason = one_line(error)
        raise UserError(f"{path}: not a whole archive ({member}{reason:.200})") from error


def members(path: str, stream: BinaryIO | None = None) -> Iterator[Member]:
    """Yield the files in a zip or tar archive, in its order, but for what macOS adds.

    After the last one, the end of the archive has been checked too. A folder on the disk counts as
    an archive; so does a folder in an archive, whose path goes on behind that of the archive.
    """
    archive, folder = (path, "") if stream else _split_at_archive(path)
    if folder:
        yield from _members_below(archive, folder)
        return
    with _errors_in_one_line(path):
        for member in _all_members(path, stream):
            *folders, file = member.name.split("/")
            if "__MACOSX" not in folders and not file.startswith("._"):
                yield member


def _all_members(path: str, stream: BinaryIO | None) -> Iterator[Member]:
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


def _zip_members(path: str) -> Iterator[Member]:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.is_dir():
                name = str(PurePosixPath(info.filename))
                yield Member(path, name, info.file_size, partial(archive.open, info))


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


def _tar_members(path: str, stream: BinaryIO | None) -> Iterator[Member]:
    with tarfile.open(path, "r:*", fileobj=stream, tarinfo=_Header) as archive:
        for info in archive:
            if info.isreg():
                name = str(PurePosixPath(info.name))
                yield Member(path, name, info.size, partial(archive.extractfile, info))
        # Behind the end a compressed file has its checksum.
        while archive.fileobj.read(BLOCK):
            pass


def _split_at_archive(path: str) -> tuple[str, str]:
    """Return the archive that a path leads into, and the rest of the path; empty if it does not."""
    for archive in Path(path).parents:
        if archive.is_file():
            return str(archive), Path(path).relative_to(archive).as_posix()
    return path, ""


def _members_below(archive: str, folder: str) -> Iterator[Member]:
    """Yield the files below a folder in an archive, named from there on."""
    is_empty, start = True, f"{folder}/"
    for member in members(archive):
        if member.name.startswith(start):
            is_empty = False
            name = member.name.removeprefix(start)
            yield replace(member, archive=f"{archive}/{folder}", name=name)
    if is_empty:
        raise UserError(f"{archive}: holds no folder {folder!r}")


def read_file(path: str) -> bytes:
    """Return the content of a file on the disk, or of one in an archive."""
    archive, name = _split_at_archive(path)
    if name:
        (content,) = read_members(archive, [name])
        return content
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def read_members(path: str, names: list[str]) -> list[bytes]:
    """Read some files of an archive, in the order of their names here."""
    contents = {member.name: member.read() for member in members(path) if member.name in names}
    for name in names:
        if name not in contents:
            raise UserError(f"{path}: holds no {name}")
    return [contents[name] for name in names]


def listed_members(
    path: str, listed: Mapping[str, T], name_of: Callable[[str], str] = str
) -> Iterator[tuple[Member, T]]:
    """Yield those files of an archive that a list names, in the archive's order."""
    missing = dict(listed)
    for member in members(path):
        name = name_of(member.name)
        if name in missing:
            yield member, missing.pop(name)
    if missing:
        first = min(missing)
        raise UserError(f"{path}: lacks {len(missing)} files that it should hold: {first}")


def file_name(path: str) -> str:
    """Return the last part of a member's path."""
    return path.rpartition("/")[2]


def lines(content: bytes, where: str) -> list[str]:
    """Return the lines of a text file that are not empty."""
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not a text file ({error})") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def table(content: bytes, where: str, columns: int, separator: str | None = None) -> list[list]:
    """Read a table of so many columns, line by line."""
    rows = [line.split(separator) for line in lines(content, where)]
    for number, cells in enumerate(rows, 1):
        if len(cells) != columns:
            raise UserError(f"{where}: line {number} has {len(cells)} columns, expected {columns}")
    return rows


def whole_number(text: str, where: str) -> int:
    """Read a number of digits only."""
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise UserError(f"{where}: {text!r:.40} is not a whole number")
    return int(text)


def label_numbers(names: Iterable[str], row: Mapping, where: str) -> dict[str, int]:
    """Number the classes of a data set in the order of their names."""
    classes = sorted(set(names))
    if len(classes) != row["classes"]:
        raise UserError(f"{where}: {len(classes)} classes, expected {row['classes']}")
    return {name: number for number, name in enumerate(classes)}
