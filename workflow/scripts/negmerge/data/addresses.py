"""Addresses of files: those of the Hugging Face hub, and passwords, which nobody may read.

`HF_ENDPOINT` names a server in place of the hub, `HF_TOKEN` a token for it, as for the hub's own
library; with `HF_HUB_OFFLINE=1` nothing of the hub is fetched.
"""

import base64
import os
import re
import urllib.request
from http.client import HTTPResponse
from urllib.parse import unquote, urlsplit

from negmerge.errors import UserError

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
