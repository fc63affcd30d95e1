"""Get the files of data sets from the internet: whole and verified, or not at all."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from negmerge.data.addresses import is_offline, is_on_hub, shown
from negmerge.data.checksums import difference, expectation, verify
from negmerge.data.progress import Progress
from negmerge.data.transfer import Interrupted, Refused, fetch
from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable

# Seconds before each attempt; the count starts anew whenever an attempt has brought something.
PAUSES = (0, 2, 10, 30, 60)


def download(
    path: str | Path,
    file: Mapping,
    *,
    by_hand: Sequence[Mapping] = (),
    pauses: Sequence[float] = PAUSES,
    timeout: float = 60,
    every: float = 5,
    write: Callable[[str], object] = print,
) -> None:
    """Put a file at `path`, if the right one is not there yet.

    What has arrived waits in a hidden file beside `path`, from which a later call continues. The
    file gets its name only when its size and checksum are right.

    Args:
        path: where the file should be.
        file: a `negmerge.settings.downloads.Download` as a dictionary; `instead` may list other
            sources of the images, as `data_sources` of config.yaml names them.
        by_hand: all files of the same folder that a person has to fetch, each as such a dictionary.
        pauses: seconds before each attempt.
        timeout: seconds without any data after which an attempt ends.
        every: seconds between two lines of progress.
        write: prints a line.

    Raises:
        UserError: another file is at `path`, a person must fetch the file, no address gives
            it, what it gives is something else, or the disk is full.
    """
    path = Path(path)
    if path.exists():
        verify(path, file)
        return
    if file["manual"]:
        raise UserError(missing(path.parent, by_hand or [file]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _partial(path) as stream:
            measure = partial(Progress, path.name, seconds=every, write=write)
            get = partial(fetch, size=file["bytes"], timeout=timeout, progress=measure)
            _from_any(path, file, stream, get, pauses, write)
            os.fsync(stream.fileno())
            os.replace(stream.name, path)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(path, error.errno) from error
        raise


def missing(folder: Path, files: Sequence[Mapping]) -> str:
    """Return which files a person has to fetch are not in a folder yet, and how to get them."""
    absent = [file for file in files if not (folder / file["name"]).exists()]
    hints = dict.fromkeys(file["manual"].strip().rstrip(".") for file in absent)
    count = "1 file is" if len(absent) == 1 else f"{len(absent)} files are"
    return (
        f"{folder}: {count} missing that a person has to fetch: "
        f"{'; '.join(map(_described, absent))}. {'. '.join(hints)}. Put what is missing into "
        f"{folder}, under these names, and run the same command again"
    )


def _described(file: Mapping) -> str:
    """Name a file, what is known of it, and where it was published."""
    published = [f"published at {file['urls'][0]}"] if file["urls"] else []
    needed = [f"only for {file['only_for']}"] if file.get("only_for") else []
    return f"{file['name']} ({', '.join([expectation(file), *published, *needed])})"


@contextmanager
def _partial(path: Path) -> Iterator[BinaryIO]:
    """Open the file in which what has arrived waits, for one process at a time."""
    with open(path.with_name(f".{path.name}.part"), "a+b") as appending:
        try:
            fcntl.flock(appending, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process is downloading it") from None
        except OSError:
            pass  # Some network file systems have no locks; the checksum will tell.
        try:
            # Opened anew, since a stream for appending cannot write where a server starts anew.
            with open(appending.name, "r+b") as stream:
                yield stream
        finally:
            if not os.fstat(appending.fileno()).st_size:
                Path(appending.name).unlink(missing_ok=True)


def _from_any(
    path: Path,
    file: Mapping,
    stream: BinaryIO,
    get: Callable,
    pauses: Sequence[float],
    write: Callable[[str], object],
) -> None:
    """Try all addresses in turn, with pauses, until one has given the file."""
    urls, reasons = list(file["urls"]), {}
    if is_offline():
        reasons = {url: "HF_HUB_OFFLINE is set" for url in urls if is_on_hub(url)}
        urls = [url for url in urls if url not in reasons]
    attempt, most = 0, stream.seek(0, os.SEEK_END)
    while urls and attempt < len(pauses):
        time.sleep(pauses[attempt])
        attempt += 1
        for url in list(urls):
            write(f"{path.name}: from {shown(url)}")
            try:
                _get_verified(url, stream, path, file, get)
                return
            except Refused as error:
                urls.remove(url)
                reasons[url] = error
            except Interrupted as error:
                reasons[url] = error
            write(f"{path.name}: {reasons[url]}")
            if stream.seek(0, os.SEEK_END) > most:
                attempt, most = 0, stream.tell()
    raise UserError(
        f"{path}: not downloaded: "
        f"{'; '.join(f'{shown(url)}: {why}' for url, why in reasons.items())}; "
        f"expected {expectation(file)}; run the same command again to continue, or put the file "
        f"there by hand{_elsewhere(file)}"
    )


def _elsewhere(file: Mapping) -> str:
    """Tell how the images can be had from other files than this one, where that is known."""
    ways = [f"--config 'data_sources={{{way}}}'" for way in file.get("instead", [])]
    return f", or take the images from elsewhere: {' or '.join(ways)}" if ways else ""


def _get_verified(url: str, stream: BinaryIO, path: Path, file: Mapping, get: Callable) -> None:
    """Get a file from one address and check it.

    Raises:
        Interrupted: from the transfer; or what was there before does not fit what came now; or
            the size is unknown, so this may be a part.
        Refused: from the transfer; or the address gives another file.
    """
    resumed = stream.seek(0, os.SEEK_END) > 0
    size = file["bytes"]
    # After a kill between the last byte and the check, all of it may be there.
    if not (resumed and size == stream.tell()):
        size = get(url, stream)
    stream.flush()
    found = difference(stream.name, file)
    if found:
        stream.truncate(0)
        if size is None:
            raise Interrupted(f"{found}; it may be cut: the server gave no size")
        raise (Interrupted if resumed else Refused)(found)
