"""Writing an archive, a zip file or a folder: whole, or nothing of it."""

import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from negmerge.files import UNWRITABLE, replacing, unwritable

# Opens a place in the archive for that many bytes.
Open = Callable[[str, int], AbstractContextManager[BinaryIO]]
SUFFIX = ".zip"
# What does not become smaller.
DENSE = (".safetensors", ".png", ".pdf")
LARGE = 2**31


@contextmanager
def writing(output: Path) -> Iterator[Open]:
    """Yield what opens places in an archive, which gets its name when the block ends well.

    Args:
        output: a zip file, or a folder if its name does not end with `.zip`.

    Raises:
        UserError: it cannot be written.
    """
    if output.suffix == SUFFIX:
        with replacing(output) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
            yield partial(_open_member, archive)
        return
    unfinished = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        yield partial(_open_file, unfinished)
        unfinished.rename(output)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(output, error.errno) from error
        raise
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _open_member(archive: zipfile.ZipFile, place: str, size: int) -> BinaryIO:
    # Without a time, so that the same study gives the same bytes.
    member = zipfile.ZipInfo(place)
    member.external_attr = 0o644 << 16
    is_dense = place.endswith(DENSE)
    member.compress_type = zipfile.ZIP_STORED if is_dense else zipfile.ZIP_DEFLATED
    return archive.open(member, "w", force_zip64=size >= LARGE)


def _open_file(folder: Path, place: str, size: int) -> BinaryIO:
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")
