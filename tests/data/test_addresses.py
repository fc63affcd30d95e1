"""Files of the hub from a private mirror, and passwords that nobody may read."""

import base64

import pytest
from download_case import CONTENT, QUICK, described
from file_server import FileServer

from negmerge.data.download import download
from negmerge.errors import UserError

PLACE = f"datasets/owner/set/resolve/{'1' * 40}/file.zip"
HUB = f"https://huggingface.co/{PLACE}"
SHORT = f"https://hf.co/{PLACE}"
TOKEN = "hf_" + "secret" * 4
PASSWORD = f"Basic {base64.b64encode(b'user:secret/word').decode()}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(server, monkeypatch):
    """The test's server in place of the hub; a function names it with a password."""
    server.files[PLACE] = CONTENT
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))

    def with_password(pair):
        monkeypatch.setenv("HF_ENDPOINT", server.url("").replace("//", f"//{pair}@"))

    return with_password


@pytest.mark.parametrize("url", [HUB, SHORT])
def test_a_server_stands_in_for_the_hub(endpoint, server, get, url):
    lines = get(described(url, bytes=None, sha256=None, md5=None))
    assert server.requests == [(PLACE, None)]
    assert lines[0] == f"file.zip: from {server.url(PLACE)}"
    assert server.passwords == [None]


def test_only_the_hub_gets_the_token(endpoint, server, one, get, target, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    get(described(HUB))
    target.unlink()
    get(described(one))
    assert server.passwords == [f"Bearer {TOKEN}", None]


def test_a_password_of_the_server_is_sent_and_not_shown(endpoint, server, get, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    endpoint("user:secret%2Fword")
    server.faults[PLACE] = [1000, ("status", 503)]
    lines = get(described(HUB))
    assert server.passwords == [PASSWORD] * 3
    assert "secret" not in " ".join(lines)
    assert f"file.zip: from {server.url(PLACE)}" in lines


def test_a_password_goes_to_no_other_server(endpoint, server, get):
    endpoint("user:secret%2Fword")
    storage = FileServer()
    storage.files["storage"] = CONTENT
    server.faults[PLACE] = [("redirect", server.url("elsewhere"))]
    server.faults["elsewhere"] = [("redirect", storage.url("storage"))]
    server.files["elsewhere"] = b""
    get(described(HUB))
    storage.close()
    assert server.passwords == [PASSWORD, PASSWORD]
    assert storage.requests == [("storage", None)]
    assert storage.passwords == [None]


@pytest.mark.parametrize("fault", [("status", 401), ("status", 503), ("bytes", b"<html>"), 0])
def test_no_error_shows_a_password(endpoint, server, refused, monkeypatch, fault):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    endpoint("user:secret%2Fword")
    server.faults[PLACE] = [fault] * 5
    message = refused(described(HUB), left=[".file.zip.part"])
    assert f"{server.url(PLACE)}: " in message
    assert "secret" not in message


@pytest.mark.parametrize(
    "wrong", ["hub.example.org", "ftp://user:secret@x", "http://user:secret/word@x", "http:// x"]
)
def test_a_server_that_is_no_address(endpoint, refused, monkeypatch, wrong):
    monkeypatch.setenv("HF_ENDPOINT", wrong)
    assert refused(described(HUB)) == (
        "HF_ENDPOINT is no address; expected one such as https://hub.example.org"
    )


def test_offline_only_what_is_there_counts(endpoint, server, target, get, refused, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    message = refused(described(HUB))
    assert message.startswith(
        f"{target}: not downloaded: {server.url(PLACE)}: HF_HUB_OFFLINE is set"
    )
    assert server.requests == []
    server.files["a"] = CONTENT
    get(described(HUB, server.url("a")))
    download(target, described(HUB), **QUICK)
    assert server.requests == [("a", None)]


@pytest.mark.parametrize("text", [f"at {TOKEN}.", "at http://user:secret@example.org/a"])
def test_an_error_hides_secrets(text):
    assert "***" in str(UserError(text))
    assert "secret" not in str(UserError(text))
    assert str(UserError("http://example.org/a@b: x")) == "http://example.org/a@b: x"
