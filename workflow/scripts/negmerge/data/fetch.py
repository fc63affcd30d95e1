"""Fetching files from the internet and the Hugging Face hub, going on with what is there.

`HF_ENDPOINT` names a server in place of the hub, `HF_TOKEN` a token for it, as for the hub's own
library; with `HF_HUB_OFFLINE=1` nothing of the hub is fetched. Nobody may read passwords.
"""

import base64
import fcntl
import hashlib
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import unquote, urlsplit

from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable

T = TypeVar("T")

HUB = re.compile(r"https://(huggingface\.co|hf\.co)/")
BLOCK = 2**20
# Answers after which the same request may succeed: RFC 9110, and 429 of RFC 6585.
RANGE_NOT_SATISFIABLE = 416
PASSING = (408, RANGE_NOT_SATISFIABLE, 425, 429)
# Seconds before each attempt; the count starts anew whenever an attempt has brought something.
PAUSES = (0, 2, 10, 30, 60)
CHECKSUMS = ("sha256", "md5")


class Interrupted(Exception):
    """The transfer ended early; another attempt may continue from there."""


class Refused(Exception):
    """The address does not give the file."""


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
    """
    path = Path(path)
    if path.exists():
        verify(path, file)
        return
    if file["manual"]:
        raise UserError(_missing(path.parent, by_hand or [file]))

    def attempt(url: str) -> None:
        write(f"{path.name}: from {_address(url)[0]}")
        resumed = stream.seek(0, os.SEEK_END) > 0
        size = file["bytes"]
        # After a kill between the last byte and the check, all of it may be there.
        if not (resumed and size == stream.tell()):
            size = _transfer(url, stream, size, timeout, progress)
        stream.flush()
        if finding := _difference(stream.name, file):
            stream.truncate(0)
            if size is None:
                raise Interrupted(f"{finding}; it may be cut: the server gave no size")
            raise (Interrupted if resumed else Refused)(finding)

    def progress(start: int, total: int | None) -> Progress:
        return Progress(path.name, start, total, seconds=every, write=write)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _partial(path) as stream:
            _try_in_turn(path, file, stream, attempt, pauses, write)
            os.fsync(stream.fileno())
            os.replace(stream.name, path)
    except OSError as error:
        if error.errno in UNWRITABLE:
            raise unwritable(path, error.errno) from error
        raise


def _missing(folder: Path, files: Sequence[Mapping]) -> str:
    """Say which files a person has to fetch are not in a folder yet, and how to get them."""
    absent = [file for file in files if not (folder / file["name"]).exists()]
    hints = dict.fromkeys(file["manual"].strip().rstrip(".") for file in absent)
    described = []
    for file in absent:
        published = [f"published at {file['urls'][0]}"] if file["urls"] else []
        needed = [f"only for {file['only_for']}"] if file.get("only_for") else []
        described.append(f"{file['name']} ({', '.join([_expected(file), *published, *needed])})")
    return (
        f"{folder}: {len(absent)} file{'s are' if len(absent) > 1 else ' is'} missing that a "
        f"person has to fetch: {'; '.join(described)}. {'. '.join(hints)}. Put what is missing "
        f"into {folder}, under these names, and run the same command again"
    )


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


def _try_in_turn(
    path: Path,
    file: Mapping,
    stream: BinaryIO,
    attempt: Callable[[str], None],
    pauses: Sequence[float],
    write: Callable[[str], object],
) -> None:
    """Try all addresses in turn, with pauses, until one has given the file."""
    urls, reasons = list(file["urls"]), {}
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        reasons = {url: "HF_HUB_OFFLINE is set" for url in urls if HUB.match(url)}
        urls = [url for url in urls if url not in reasons]
    tried, most = 0, stream.seek(0, os.SEEK_END)
    while urls and tried < len(pauses):
        time.sleep(pauses[tried])
        tried += 1
        for url in list(urls):
            try:
                attempt(url)
                return
            except (Refused, Interrupted) as error:
                reasons[url] = error
                if isinstance(error, Refused):
                    urls.remove(url)
            write(f"{path.name}: {reasons[url]}")
            if stream.seek(0, os.SEEK_END) > most:
                tried, most = 0, stream.tell()
    ways = [f"--config 'data_sources={{{way}}}'" for way in file.get("instead", [])]
    elsewhere = f", or take the images from elsewhere: {' or '.join(ways)}" if ways else ""
    raise UserError(
        f"{path}: not downloaded: "
        f"{'; '.join(f'{_address(url)[0]}: {reason}' for url, reason in reasons.items())}; "
        f"expected {_expected(file)}; run the same command again to continue, or put the file "
        f"there by hand{elsewhere}"
    )


def _transfer(
    url: str,
    stream: BinaryIO,
    size: int | None,
    timeout: float,
    progress: Callable[[int, int | None], "Progress"],
) -> int | None:
    """Add to `stream` what it lacks of the file at `url`; return the file's size if it is known."""
    have = stream.seek(0, os.SEEK_END)
    address, authorization = _address(url)
    # Compressed on the way, a range would count other bytes.
    headers = {"User-Agent": "negmerge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    request = urllib.request.Request(address, headers=headers)
    if authorization:
        request.add_unredirected_header("Authorization", authorization)
    try:
        opener = urllib.request.build_opener(_Redirects)
        with opener.open(request, timeout=timeout) as response:
            start, total = _range(response, have)
            if None not in (size, total) and total != size:
                raise Refused(f"offers {total} bytes, expected {size}")
            stream.seek(start)
            stream.truncate()
            with progress(start, total or size) as counter:
                while block := response.read1(BLOCK):
                    stream.write(block)
                    counter.add(len(block))
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE:
            stream.truncate(0)
        # For a loop of redirects, the reason has several lines.
        reason = " ".join(f"HTTP {error.code} {error.reason}".split())
        passing = error.code in PASSING or error.code >= 500
        raise (Interrupted if passing else Refused)(reason) from error
    except urllib.error.URLError as error:
        raise Interrupted(f"no connection ({error.reason})") from error
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError) as error:
        raise Interrupted(f"the connection broke ({error or type(error).__name__})") from error
    total = size if total is None else total
    if total is not None and stream.tell() < total:
        raise Interrupted(f"the connection ended after {stream.tell()} of {total} bytes")
    return total


def _range(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Return where the answer starts in the file, and the whole file's size if it is given."""
    if response.status != http.client.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdecimal() else None
    header = response.headers.get("Content-Range", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header)
    # A part from after the end of what is there would leave a hole.
    if not match or int(match[1]) > have:
        raise Refused(f"sent another part than the one from byte {have} on: {header!r}")
    return int(match[1]), None if match[2] == "*" else int(match[2])


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Sends a password on to the same server only: the hub's storage need not know it."""

    def redirect_request(self, request, *others):
        again = super().redirect_request(request, *others)
        if again and (again.type, again.host) == (request.type, request.host):
            for header, value in request.unredirected_hdrs.items():
                again.add_unredirected_header(header, value)
        return again


def _address(url: str) -> tuple[str, str | None]:
    """Return the address at which a file is asked for, and the password or token for it."""
    token = None
    if HUB.match(url):
        token = os.environ.get("HF_TOKEN")
        server = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
        # An @ in the path is one of a password with a slash, which would be taken for a server.
        if not re.fullmatch(r"https?://[^/\s]+(/[^@\s]*)?", server):
            raise UserError(
                "HF_ENDPOINT is no address; expected one such as https://hub.example.org"
            )
        url = HUB.sub(lambda _: f"{server}/", url)
    parts = urlsplit(url)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return address, f"Basic {base64.b64encode(pair.encode()).decode()}"
    return address, f"Bearer {token}" if token else None


def use_server(address: str | None) -> None:
    """Let a server stand in for the hub, in this process and in those that it starts."""
    if address and "@" in address:
        raise UserError("config.yaml: hub_endpoint holds a password; set HF_ENDPOINT instead")
    if address:
        # The hub's own library knows it under this name.
        os.environ["HF_ENDPOINT"] = address


def verify(path: str | Path, file: Mapping) -> None:
    """Check size and checksum of a file at its place, whoever put it there."""
    try:
        finding = _difference(path, file)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if finding:
        raise UserError(
            f"{path}: not the right file: {finding}, expected {_expected(file)}; delete it and run "
            "again"
        )


def _difference(path: str | Path, file: Mapping) -> str | None:
    """Return what is wrong with a file that is not what its row says; None if it is right."""
    size = Path(path).stat().st_size
    if file["bytes"] not in (None, size):
        return f"found {size} bytes"
    digests = {kind: hashlib.new(kind, usedforsecurity=False) for kind in CHECKSUMS if file[kind]}
    with open(path, "rb") as stream:
        while block := stream.read(BLOCK):
            for digest in digests.values():
                digest.update(block)
    sums = {kind: digest.hexdigest() for kind, digest in digests.items()}
    # Size and checksums were published by different people: one right checksum is enough.
    if not sums or any(sums[kind] == file[kind] for kind in sums):
        return None
    return ", ".join([f"found {size} bytes", *(f"{kind} {sums[kind]}" for kind in sums)])


def _expected(file: Mapping) -> str:
    """Name the size and the checksums that are known."""
    known = [f"{file['bytes']} bytes"] if file["bytes"] else []
    known += [f"{kind} {file[kind]}" for kind in CHECKSUMS if file[kind]]
    return ", ".join(known) or "what its address gives"


class Progress:
    """Prints a line every few seconds: what has come, how fast, and how long the rest takes."""

    def __init__(
        self,
        name: str,
        start: int,
        total: int | None,
        *,
        unit: str = "MB",
        seconds: float = 5,
        write: Callable[[str], object] = print,
    ):
        self._name, self._start, self._total, self._unit = name, start, total, unit
        self._seconds, self._write = seconds, write
        self._done, self._began = start, time.monotonic()
        self._next = self._began + seconds

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._write(self._line())

    def add(self, count: int) -> None:
        """Count bytes or images that have come."""
        self._done += count
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + self._seconds
            self._write(self._line())

    def _line(self) -> str:
        size, places = (1e6, 1) if self._unit == "MB" else (1, 0)
        rate = (self._done - self._start) / max(time.monotonic() - self._began, 1e-9)
        done, speed = f"{self._done / size:.{places}f}", f"{rate / size:.{2 * places}f}"
        if not self._total:
            return f"{self._name}: {done} {self._unit}, {speed} {self._unit}/s"
        left = timedelta(seconds=round((self._total - self._done) / rate)) if rate else "?"
        return (
            f"{self._name}: {done} of {self._total / size:.{places}f} {self._unit} "
            f"({100 * self._done / self._total:.0f} %), {speed} {self._unit}/s, {left} left"
        )


def counted(name: str, items: Iterable[T], total: int) -> Iterator[T]:
    """Pass images on, and print every few seconds how many have passed."""
    with Progress(name, 0, total, unit="images") as progress:
        for item in items:
            yield item
            progress.add(1)
