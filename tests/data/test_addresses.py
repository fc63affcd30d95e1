"""Files of the hub from a private mirror, and passwords that nobody may read."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

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


FETCH = """
import sys
from negmerge.models.weights import fetch, weights_file
hub = {"repository": "owner/model", "revision": "1" * 40, "file": "a.safetensors"}
row = {"architecture": "ViT-B-32", "weights": "a tag", "hub": hub}
fetch(row, sys.argv[1])
print(weights_file(sys.argv[1]).read_text())
"""


def test_weights_come_from_the_same_server_and_then_need_none(server, tmp_path):
    place, record = f"owner/model/resolve/{'1' * 40}/a.safetensors", tmp_path / "record"
    server.files[place] = b"weights"
    server.faults[place] = [("status", 429)] * 2
    settings = os.environ | {
        "HF_ENDPOINT": server.url("").rstrip("/").replace("//", "//user:secret%2Fword@"),
        "HF_HOME": str(tmp_path / "hub"),
        "HF_TOKEN": TOKEN,
        "PYTHONPATH": str(Path(__file__).parents[2] / "workflow" / "scripts"),
    }

    def run(**more):
        command = [sys.executable, "-c", FETCH, str(record)]
        done = subprocess.run(command, env=settings | more, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert done.stdout == "weights\n"
        assert "secret" not in done.stdout + done.stderr
        return done.stderr

    # The library tells that it tries again, and where.
    assert "thrown while requesting HEAD http://***@127.0.0.1" in run()
    assert PASSWORD in server.passwords
    assert json.loads(record.read_text()).keys() == {
        "repository", "revision", "file", "bytes", "sha256"
    }  # fmt: skip
    assert "secret" not in record.read_text()
    count = len(server.passwords)
    server.files.clear()
    run(HF_HUB_OFFLINE="1")
    assert len(server.passwords) == count
