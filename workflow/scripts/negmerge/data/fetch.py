"""Fetching files from the internet and the Hugging Face hub, going on with what is there.

`huggingface_hub` fetches from the hub only, and pooch starts a broken download anew.
"""

import fcntl
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

import requests
import urllib3

from negmerge.data.checksums import difference, expectation, verify
from negmerge.data.progress import counted
from negmerge.errors import UserError, one_line
from negmerge.files import UNWRITABLE, unwritable

HUB = re.compile(r"https://(huggingface\.co|hf\.co)/")
# Seconds before each attempt; the count starts anew whenever an attempt has brought something.
PAUSES = (0, 2, 10, 30, 60)
# Seconds in which a server must answer, or go on.
TIMEOUT = 60
# Answers after which the same request may succeed: RFC 9110, and 429 of RFC 6585.
PASSING = (408, 416, 425, 429)
BLOCK = 2**16


class Interrupted(Exception):
    """The transfer ended early; another attempt may continue from there."""


class Refused(Exception):
    """The address does not give the file."""


def download(path: str | Path, file: Mapping, by_hand: Sequence[Mapping] = ()) -> None:
    """Put a file at `path`, unless it is there; what has arrived waits in a hidden file."""
    path = Path(path)
    if path.exists():
        verify(path, file)
        return
    if file["manual"]:
        raise UserError(missing(path.parent, by_hand or [file]))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _partial(path) as stream:
            _from_any(path, file, stream)
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
    part = path.with_name(f".{path.name}.part")
    part.touch()
    try:
        with open(part, "r+b") as stream:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(f"{path}: another process is downloading it") from None
            except OSError:
                pass  # Some network file systems have no locks; the checksum will tell.
            yield stream
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()


def _from_any(path: Path, file: Mapping, stream: BinaryIO) -> None:
    """Try all addresses in turn, with pauses, until one has given the file."""
    urls, reasons = list(file["urls"]), {}
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        reasons = {url: "HF_HUB_OFFLINE is set" for url in urls if HUB.match(url)}
        urls = [url for url in urls if url not in reasons]
    attempt, most = 0, stream.seek(0, os.SEEK_END)
    while urls and attempt < len(PAUSES):
        time.sleep(PAUSES[attempt])
        attempt += 1
        for url in list(urls):
            print(f"{path.name}: from {_without_password(url)}")
            try:
                _continue(url, stream, file)
                return
            except Refused as error:
                urls.remove(url)
                reasons[url] = error
            except Interrupted as error:
                reasons[url] = error
            print(f"{path.name}: {reasons[url]}")
            if stream.seek(0, os.SEEK_END) > most:
                attempt, most = 0, stream.tell()
    tried = "; ".join(f"{_without_password(url)}: {why}" for url, why in reasons.items())
    ways = [f"--config 'data_sources={{{way}}}'" for way in file.get("instead", [])]
    elsewhere = f", or take the images from elsewhere: {' or '.join(ways)}" if ways else ""
    raise UserError(
        f"{path}: not downloaded: {tried}; expected {expectation(file)}; run the same command "
        f"again to continue, or put the file there by hand{elsewhere}"
    )


def _continue(url: str, stream: BinaryIO, file: Mapping) -> None:
    """Get from one address what a stream lacks of a file, and check the whole."""
    resumed = stream.seek(0, os.SEEK_END) > 0
    size = file["bytes"]
    # After a kill between the last byte and the check, all of it may be there.
    if not (resumed and size == stream.tell()):
        size = _transfer(url, stream, file)
    stream.flush()
    finding = difference(stream.name, file)
    if finding:
        stream.truncate(0)
        if size is None:
            raise Interrupted(f"{finding}; it may be cut: the server gave no size")
        raise (Interrupted if resumed else Refused)(finding)


def _transfer(url: str, stream: BinaryIO, file: Mapping) -> int | None:
    """Add to a stream what it lacks of a file; return the size of the whole if it is known."""
    have = stream.seek(0, os.SEEK_END)
    # Compressed on the way, a range would count other bytes.
    headers = {"User-Agent": "negmerge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    if HUB.match(url) and (token := os.environ.get("HF_TOKEN")):
        headers["Authorization"] = f"Bearer {token}"
    try:
        # A password in the address replaces the token; neither is sent on to another server.
        with requests.get(_place(url), headers=headers, stream=True, timeout=TIMEOUT) as response:
            start, total = _range(response, have)
            if response.status_code == 416:
                stream.truncate(0)
            if not response.ok:
                passing = response.status_code in PASSING or response.status_code >= 500
                reason = f"HTTP {response.status_code} {response.reason}"
                raise (Interrupted if passing else Refused)(reason)
            size = total if file["bytes"] is None else file["bytes"]
            if None not in (size, total) and total != size:
                raise Refused(f"offers {total} bytes, expected {size}")
            stream.seek(start)
            stream.truncate()
            blocks = response.raw.stream(BLOCK, decode_content=False)
            for block in counted(file["name"], blocks, size, unit="B", start=start, size=len):
                stream.write(block)
                if size is not None and stream.tell() > size:
                    stream.truncate(0)
                    raise Refused(f"gives more than the {size} bytes expected")
    except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
        # Without the address, which for storage of the hub holds a signature.
        reason = getattr(error.args[0], "reason", error) if error.args else error
        raise Interrupted(f"the connection broke ({one_line(reason)})") from error
    except requests.RequestException as error:
        raise Refused(one_line(error)) from error
    if size is not None and stream.tell() < size:
        raise Interrupted(f"the connection ended after {stream.tell()} of {size} bytes")
    return size


def _range(response: requests.Response, have: int) -> tuple[int, int | None]:
    """Return where an answer starts in the file, and the whole file's size if it is given."""
    if response.status_code != 206:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    header = response.headers.get("Content-Range", "")
    part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header)
    # A part from after the end of what is there would leave a hole.
    if not part or int(part[1]) > have:
        raise Refused(f"sent another part than the one from byte {have} on: {header!r}")
    return int(part[1]), None if part[2] == "*" else int(part[2])


def _place(url: str) -> str:
    """Return the address at which a file is asked for: for the hub, at what stands in for it."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    # An @ in the path is one of a password with a slash, which would be taken for a server's name.
    if not re.fullmatch(r"https?://[^/\s]+(/[^@\s]*)?", endpoint):
        raise UserError("HF_ENDPOINT is no address; expected one such as https://hub.example.org")
    return HUB.sub(lambda _: f"{endpoint}/", url)


def _without_password(url: str) -> str:
    parts = urlsplit(_place(url))
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
