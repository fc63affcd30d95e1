"""Downloading files: from the internet and the Hugging Face hub, going on with what is there.

`HF_ENDPOINT` names a server in place of the hub, `HF_TOKEN` a token for it, as for the hub's own
library; with `HF_HUB_OFFLINE=1` nothing of the hub is fetched. Nobody may read passwords.
"""

import base64
import fcntl
import http.client
import os
import re
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from negmerge.data.checksums import difference, expectation, verify
from negmerge.data.progress import Progress
from negmerge.errors import UserError
from negmerge.files import UNWRITABLE, unwritable

HUB = re.compile(r"https://(huggingface\.co|hf\.co)/")
TRUE = ("1", "ON", "YES", "TRUE")


def is_on_hub(url: str) -> bool:
    """Whether an address is one of the hub."""
    return HUB.match(url) is not None


def is_offline() -> bool:
    """Whether nothing of the hub is to be fetched."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE


def opened(url: str, headers: dict[str, str], timeout: float) -> HTTPResponse:
    """Ask for a file, of the hub at the server that stands in for it, if one does."""
    place, secret = _apart(url)
    request = urllib.request.Request(place, headers=headers)
    if secret:
        request.add_unredirected_header("Authorization", secret)
    return urllib.request.build_opener(_Redirects).open(request, timeout=timeout)


def shown(url: str) -> str:
    """Return the address of a file as logs may name it."""
    return _apart(url)[0]


def _apart(url: str) -> tuple[str, str | None]:
    """Return the address at which a file is asked for, and the password or token for it."""
    token = None
    if is_on_hub(url):
        token = os.environ.get("HF_TOKEN")
        url = HUB.sub(lambda _: f"{_endpoint()}/", url)
    parts = urlsplit(url)
    place = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        return place, f"Basic {base64.b64encode(pair.encode()).decode()}"
    return place, f"Bearer {token}" if token else None


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Sends a password on to the same server only: the hub's storage need not know it."""

    def redirect_request(self, req, *others):
        made = super().redirect_request(req, *others)
        same = made and (made.type, made.host) == (req.type, req.host)
        if same and "Authorization" in req.unredirected_hdrs:
            made.add_unredirected_header("Authorization", req.unredirected_hdrs["Authorization"])
        return made


def _endpoint() -> str:
    found = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    # An @ in the path is one of a password with a slash, which would be taken for a server's name.
    if not re.fullmatch(r"https?://[^/\s]+(/[^@\s]*)?", found):
        raise UserError("HF_ENDPOINT is no address; expected one such as https://hub.example.org")
    return found


def use_server(address: str | None) -> None:
    """Let a server stand in for the hub, in this process and in those that it starts."""
    if address and "@" in address:
        raise UserError("config.yaml: hub_endpoint holds a password; set HF_ENDPOINT instead")
    if address:
        # The hub's own library knows it under this name.
        os.environ["HF_ENDPOINT"] = address


BLOCK = 2**20
# Answers after which the same request may succeed: RFC 9110, and 429 of RFC 6585.
PASSING = (408, 425, 429)
RANGE_NOT_SATISFIABLE = 416


class Interrupted(Exception):
    """The transfer ended early; another attempt may continue from there."""


class Refused(Exception):
    """The address does not give the file."""


def fetch(
    url: str,
    stream: BinaryIO,
    size: int | None,
    *,
    timeout: float = 60,
    progress: Callable[[int, int | None], Progress],
) -> int | None:
    """Add to `stream` what it lacks of the file at `url`."""
    have = stream.seek(0, os.SEEK_END)
    # Compressed on the way, a range would count other bytes.
    headers = {"User-Agent": "negmerge", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with opened(url, headers, timeout) as response:
            start, total = _range(response, have)
            if None not in (size, total) and total != size:
                raise Refused(f"offers {total} bytes, expected {size}")
            stream.seek(start)
            stream.truncate()
            with progress(start, total or size) as counter:
                _copy(response, stream, size, counter)
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE:
            stream.truncate(0)
        passing = error.code in (*PASSING, RANGE_NOT_SATISFIABLE) or error.code >= 500
        # For a loop of redirects, the reason has several lines.
        reason = " ".join(f"HTTP {error.code} {error.reason}".split())
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
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header)
    # A part from after the end of what is there would leave a hole.
    if not found or int(found[1]) > have:
        raise Refused(f"sent another part than the one from byte {have} on: {header!r}")
    return int(found[1]), None if found[2] == "*" else int(found[2])


def _copy(
    response: http.client.HTTPResponse, stream: BinaryIO, size: int | None, counter: Progress
) -> None:
    while block := response.read1(BLOCK):
        stream.write(block)
        counter.add(len(block))
        if size is not None and stream.tell() > size:
            stream.truncate(0)
            raise Refused(f"gives more than the {size} bytes expected")


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
                _get_verified(url, stream, file, get)
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


def _get_verified(url: str, stream: BinaryIO, file: Mapping, get: Callable) -> None:
    """Get a file from one address and check it."""
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
