"""Reading an archive of a study: every file is compared with its checksum before it counts."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from tqdm import tqdm

from negmerge.data.archives import BROKEN, Member, members, read_members
from negmerge.errors import UserError, one_line
from negmerge.files import UNWRITABLE
from negmerge.handover.layout import (
    ABOUT,
    CONFIG,
    CRATE,
    DATA,
    FORMAT,
    RESULTS,
    WORKFLOW,
    About,
    Packed,
)
from negmerge.settings.load import validate

# Far above what a study has: what counts is the list in the archive itself.
BLOCK = 2**20


class Archive:
    """An archive that says for which study it is and what it holds.

    Args:
        path: a zip file, or a folder.

    Raises:
        UserError: it is damaged, cut, or no archive of `pack`.
    """

    def __init__(self, path: Path):
        self.path = path
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        about, crate = read_members(str(path), [ABOUT, CRATE])
        self.about = validate(f"{path}: {ABOUT}", _parsed(path, ABOUT, about), About)
        if self.about.format != FORMAT:
            raise UserError(f"{path}: format {self.about.format}, expected {FORMAT}")
        self.files = _listed(path, _parsed(path, CRATE, crate))
        for place in self.files:
            self._require_known(place)

    def unpack(self, folder: Path, progress: bool) -> None:
        """Write all files into a folder, under their places.

        Raises:
            UserError: the archive is damaged or cut, or holds other files than it lists.
        """
        missing = dict(self.files)
        total = sum(one.bytes for one in missing.values())
        with tqdm(
            total=total, desc="unpack", unit="B", unit_scale=True, disable=not progress
        ) as bar:
            for member in members(str(self.path)):
                if member.name == CRATE:
                    continue
                if member.name not in missing:
                    raise UserError(f"{member}: not in its list of files, or there twice")
                _copy(member, missing.pop(member.name), folder / member.name, bar)
        if missing:
            raise UserError(f"{self.path}: lacks {min(missing)}, which it should hold; it is cut")

    def _require_known(self, place: str) -> None:
        """Check that a file belongs to a place of the study."""
        tops = (f"{RESULTS}/{self.about.study}/", f"{DATA}/", f"{CONFIG}/")
        is_inside = ".." not in place.split("/") and place.startswith(tops)
        if not (is_inside or place in (ABOUT, WORKFLOW)):
            raise UserError(f"{self.path}: {place!r} is no place of study {self.about.study}")


def _listed(path: Path, crate: Mapping) -> dict[str, Packed]:
    """Return the files that the metadata of a crate list with a checksum."""
    found = {}
    try:
        for entity in crate["@graph"]:
            types = entity["@type"]
            if "File" in ([types] if isinstance(types, str) else types) and "sha256" in entity:
                place = unquote(entity["@id"])
                size, sha256 = int(entity["contentSize"]), entity["sha256"]
                if size < 0 or not re.fullmatch("[0-9a-f]{64}", sha256):
                    raise ValueError(f"size {size}, sha256 {sha256!r} of {place!r}")
                found[place] = Packed(place, size, sha256)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: {CRATE} cannot be read: {error!r}") from error
    return found


def _parsed(path: Path, place: str, content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError as error:
        raise UserError(f"{path}: {place} is not JSON: {error}") from error


def _copy(member: Member, listed: Packed, target: Path, bar: tqdm) -> None:
    """Write a file, as large as it is listed and no larger, and compare its checksum."""
    found, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with member.open() as stream, target.open("wb") as copy:
            while block := stream.read(min(BLOCK, listed.bytes + 1 - size)):
                copy.write(block)
                found.update(block)
                size += len(block)
                bar.update(len(block))
    except BROKEN as error:
        if isinstance(error, OSError) and error.errno in UNWRITABLE:
            raise
        reason = one_line(error)
        raise UserError(f"{member}: damaged: {reason}") from error
    if size != listed.bytes:
        more = "more" if size > listed.bytes else str(size)
        raise UserError(f"{member}: {more} bytes, expected {listed.bytes}")
    if found.hexdigest() != listed.sha256:
        raise UserError(f"{member}: sha256 {found.hexdigest()}, expected {listed.sha256}")
