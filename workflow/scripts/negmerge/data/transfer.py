"""One attempt to get a file over HTTP, continuing where the last one ended."""

import http.client
import os
import re
import ssl
import urllib.error
from collections.abc import Callable
from typing import BinaryIO

from negmerge.data.addresses import opened
from negmerge.data.progress import Progress

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
    """Add to `stream` what it lacks of the file at `url`.

    A server that cannot continue in the middle starts the file again, and so does the stream.
    """
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
