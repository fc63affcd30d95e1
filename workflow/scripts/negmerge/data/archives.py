"""Archives from the internet, or folders of unpacked ones, read member by member."""

import csv
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO, TypeVar

from negmerge.errors import UserError, one_line, unknown

T = TypeVar("T")


@dataclass(frozen=True)
class Member:
    """A file in an archive, to be read before the next one is asked for."""

    archive: str  # the archive, for errors
    name: str  # its path in the archive, without a leading `./`
    size: int  # its bytes when unpacked
    open: Callable[[], BinaryIO]  # opens it for reading

    def __str__(self) -> str:
        return f"{self.archive}: {self.name!r}"

    def read(self) -> bytes:
        with errors_in_one_line(self), self.open() as stream:
            return stream.read()


@contextmanager
def errors_in_one_line(where: object) -> Iterator[None]:
    """Name the file that cannot be read: what libraries raise depends on where it is broken."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            raise UserError(f"{where}: cannot be read: {error.strerror}") from error
        reason = f"{type(error).__name__}: {one_line(error):.200}"
        raise UserError(f"{where}: not whole, or not what it should be ({reason})") from error


def _members(path: str, stream: BinaryIO | None) -> Iterator[Member]:
    if stream is None and Path(path).is_dir():
        for file in sorted(Path(path).rglob("*")):
            if file.is_file():
                name = file.relative_to(path).as_posix()
                yield Member(path, name, file.stat().st_size, partial(file.open, "rb"))
        return
    # zipfile.is_zipfile looks at the end, where a tar file may hold a zip file.
    with open(path, "rb") if stream is None else nullcontext() as start:
        is_zip = start is not None and start.read(2) == b"PK"
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    name = str(PurePosixPath(info.filename))
                    yield Member(path, name, info.file_size, partial(archive.open, info))
        return
    with tarfile.open(path, "r:*", fileobj=stream) as archive:
        for info in archive:
            if info.isreg():
                name = str(PurePosixPath(info.name))
                yield Member(path, name, info.size, partial(archive.extractfile, info))
        # Behind the end a compressed file has its checksum.
        while archive.fileobj.read(2**20):
            pass


def members(path: str, stream: BinaryIO | None = None) -> Iterator[Member]:
    """Yield the files of an archive, or of a folder in it or on the disk, up to its checked end."""
    archive, folder = (path, "") if stream else _split_at_archive(path)
    start, is_empty = f"{folder}/" if folder else "", True
    with errors_in_one_line(archive):
        for member in _members(archive, stream):
            *folders, file = member.name.split("/")
            is_of_mac = "__MACOSX" in folders or file.startswith("._")
            if member.name.startswith(start) and not is_of_mac:
                is_empty = False
                yield replace(member, archive=path, name=member.name.removeprefix(start))
    if folder and is_empty:
        raise UserError(f"{archive}: holds no folder {folder!r}")


def _split_at_archive(path: str) -> tuple[str, str]:
    """Return the archive that a path leads into, and the rest of the path; empty if it does not."""
    for archive in Path(path).parents:
        if archive.is_file():
            return str(archive), Path(path).relative_to(archive).as_posix()
    return path, ""


def read_file(path: str) -> bytes:
    """Return the content of a file on the disk, or of one in an archive."""
    archive, name = _split_at_archive(path)
    if name:
        (content,) = read_members(archive, [name])
        return content
    with errors_in_one_line(path):
        return Path(path).read_bytes()


def read_members(path: str, names: Sequence[str]) -> list[bytes]:
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
    with errors_in_one_line(where):
        return [line.strip() for line in content.decode().splitlines() if line.strip()]


def table(content: bytes, where: str, columns: int) -> list[list[str]]:
    """Read a table whose columns are parted by blanks, line by line."""
    rows = [line.split() for line in lines(content, where)]
    for number, cells in enumerate(rows, 1):
        if len(cells) != columns:
            raise UserError(f"{where}: line {number} has {len(cells)} columns, expected {columns}")
    return rows


def csv_rows(
    path: str, needed: Sequence[str], delimiter: str = ",", known: Sequence[str] = ()
) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the rows of a table with a header, each with its place; their cells are stripped.

    Where columns are `known`, there may be no others.
    """
    with errors_in_one_line(path):
        text = io.StringIO(read_file(path).decode("utf-8-sig"), newline="")
        reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
        names = next(reader, [])
        for column in needed:
            if column not in names:
                raise UserError(f"{path}: line 1: no column {column!r}; found {names}")
        for column in names if known else ():
            if column not in known:
                raise UserError(f"{path}: line 1: {unknown('column', column, known)}")
        for cells in filter(None, reader):
            where = f"{path}: line {reader.line_num}"
            if len(cells) != len(names):
                raise UserError(f"{where}: {len(cells)} cells, expected {len(names)}")
            yield where, dict(zip(names, map(str.strip, cells), strict=True))


def label_numbers(names: Iterable[str], row: Mapping, where: str) -> dict[str, int]:
    """Number the classes of a data set in the order of their names."""
    classes = sorted(set(names))
    if len(classes) != row["classes"]:
        raise UserError(f"{where}: {len(classes)} classes, expected {row['classes']}")
    return {name: number for number, name in enumerate(classes)}


def class_numbers(theirs: Sequence[str], ours: Sequence[str], where: str) -> dict[int, int]:
    """Return our number of each class of a file by its number there; the names are compared."""
    numbers = {_plain(name): number for number, name in enumerate(ours)}
    for name in theirs:
        if _plain(name) not in numbers:
            raise UserError(f"{where}: {name!r} is not a class of the data set in prompts.yaml")
    plain = list(map(_plain, theirs))
    if missing := sorted(numbers.keys() - set(plain)):
        raise UserError(f"{where}: {len(missing)} classes are missing, such as {missing[0]!r}")
    if not len(set(plain)) == len(plain) == len(ours):
        raise UserError(f"{where}: a class name appears twice, so names do not tell the classes")
    return {number: numbers[name] for number, name in enumerate(plain)}


def _plain(name: str) -> str:
    return " ".join(re.split(r"[\W_]+", name.casefold())).strip()
