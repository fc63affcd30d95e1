"""Files arrive whole or not at all, from servers that misbehave, and nobody reads passwords."""

import base64
import hashlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from file_server import FileServer

from negmerge.data import fetch
from negmerge.data.fetch import download
from negmerge.data.progress import counted
from negmerge.errors import UserError
from negmerge.settings.datasets import use_server
from negmerge.settings.downloads import Download

CONTENT = np.random.default_rng(0).bytes(300_000)
WRONG = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
PART = ".file.zip.part"


def row(*urls, content=CONTENT, **changes):
    sums = {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}
    settings = {"urls": list(urls), "bytes": len(content)} | sums | changes
    return Download(name="file.zip", **settings).model_dump()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "file.zip"


@pytest.fixture
def url(server):
    server.files["a"] = CONTENT
    return server.url("a")


@pytest.fixture
def get(target, monkeypatch, capsys):
    """A function that downloads and gives the lines that were printed."""
    monkeypatch.setattr(fetch, "PAUSES", (0, 0.01, 0.02))
    monkeypatch.setattr(fetch, "TIMEOUT", 0.5)

    def run(file, **options):
        capsys.readouterr()
        download(target, file, **options)
        assert target.read_bytes() == CONTENT
        assert list(target.parent.iterdir()) == [target]
        return capsys.readouterr().out.splitlines()

    return run


@pytest.fixture
def refused(get, target):
    """A function that gives the error of a download, which leaves what was there."""

    def run(file, **options):
        before = target.read_bytes() if target.exists() else None
        with pytest.raises(UserError) as caught:
            get(file, **options)
        assert "\n" not in str(caught.value)
        assert (target.read_bytes() if target.exists() else None) == before
        left = {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()
        assert left <= {"file.zip", PART, "there.zip"}
        return str(caught.value)

    return run


def test_a_file_arrives_whole_and_is_not_fetched_again(server, url, get):
    lines = get(row(url))
    assert lines[0] == f"file.zip: from {url}"
    assert re.fullmatch(r"file\.zip: 100% 300k/300k \[00:\d\d<00:00, .*B/s\]", lines[-1])
    get(row(url))
    get(row(url, sha256="0" * 64))  # One of two checksums is enough.
    assert server.requests == [("a", None)]


FAULTS = {
    # What the server does wrong, and which part of the file the second request asks for.
    "nothing came": (0, None),
    "a byte came": (1, "bytes=1-"),
    "all but a byte came": (299_999, "bytes=299999-"),
    "it stalls": (("stall", 2**16), "bytes=65536-"),
    "it tells no length and stops": (("no length", 1000), "bytes=1000-"),
    "it is busy": (("status", 429), None),
    "it is down": (("status", 503), None),
}


@pytest.mark.parametrize(("fault", "part"), FAULTS.values(), ids=FAULTS)
def test_a_broken_transfer_is_continued(server, url, get, fault, part):
    server.faults["a"] = [fault]
    get(row(url))
    assert server.requests == [("a", None), ("a", part)]


def test_a_server_without_ranges_and_a_wrong_part(server, url, get, refused):
    server.faults["a"] = [150_000, ("range", "bytes 200000-299999")]
    assert "'bytes 200000-299999/300000'" in refused(row(url))
    server.faults["a"] = ["no range"]
    get(row(url))
    assert server.requests[-1] == ("a", "bytes=150000-")


@pytest.mark.parametrize("fault", [("status", 404), ("bytes", WRONG), ("bytes", b"<html>"), 1000])
def test_another_address_takes_over_where_the_first_broke(server, url, get, fault):
    server.files["b"] = CONTENT
    server.faults["a"] = [fault]
    get(row(url, server.url("b")))
    assert server.requests == [("a", None), ("b", "bytes=1000-" if fault == 1000 else None)]


def test_what_does_not_come_is_an_error_with_what_was_found_and_expected(server, url, refused):
    server.files["a"] = CONTENT + b"1"
    server.faults["a"] = ["no length"]
    assert "gives more than the 300000 bytes" in refused(row(url))
    assert f"{url}: offers 300001 bytes, expected 300000" in refused(row(url))
    server.files["a"] = CONTENT
    server.faults["a"] = [1000] + [("status", 503)] * 5
    assert f"{url}: HTTP 503 Service Unavailable; expected 300000 bytes" in refused(row(url))
    server.files["a"] = WRONG
    file = row(url) | {"instead": ["cars: original"]}
    message = refused(file)
    for content in (WRONG, CONTENT):
        for kind in ("sha256", "md5"):
            assert f"{kind} {hashlib.new(kind, content).hexdigest()}" in message
    assert message.endswith("--config 'data_sources={cars: original}'")


def test_one_message_names_all_files_that_a_person_has_to_fetch(server, url, target, get, refused):
    file = row(url, manual="Ask the authors for it.")
    there, other = file | {"name": "there.zip"}, file | {"name": "b.zip", "only_for": "birds"}
    target.parent.mkdir()
    target.with_name("there.zip").touch()
    message = refused(file, by_hand=[file, there, other])
    assert message.startswith(f"{target.parent}: 2 files are missing")
    assert f"file.zip (300000 bytes, sha256 {file['sha256']}, md5 {file['md5']}, " in message
    assert f"published at {url}, only for birds). Ask the authors for it. Put " in message
    target.with_name("there.zip").unlink()
    target.write_bytes(WRONG)
    assert f"{target}: not the right file: found 300000 bytes" in refused(file)
    target.write_bytes(CONTENT)
    get(file)
    assert not server.requests


@pytest.fixture
def other_process(server, url, target):
    """A process that downloads slowly and of which something has come."""
    server.faults["a"] = [("slow", 30_000, 0.1)]
    code = f"from negmerge.data.fetch import download; download({str(target)!r}, {row(url)!r})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    part, end = target.with_name(PART), time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    yield process
    process.kill()
    process.wait()


def test_a_killed_process_leaves_a_rest_that_is_continued(server, url, target, get, other_process):
    os.kill(other_process.pid, signal.SIGKILL)
    other_process.wait()
    assert [path.name for path in target.parent.iterdir()] == [PART]
    get(row(url))
    assert int(server.requests[-1][1].removeprefix("bytes=").removesuffix("-")) > 0


def test_two_processes_do_not_write_one_file(url, target, refused, other_process):
    assert refused(row(url)) == f"{target}: another process is downloading it"
    assert other_process.wait() == 0
    assert target.read_bytes() == CONTENT


def test_progress_of_images_is_a_line_every_so_often(capsys):
    assert list(counted("cats", "abc", 4, unit=" images", every=0)) == ["a", "b", "c"]
    *_, line = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"cats:  75% 3/4 \[00:\d\d<00:\d\d, .* images/s\]", line)


PLACE = f"datasets/owner/set/resolve/{'1' * 40}/file.zip"
HUB = f"https://huggingface.co/{PLACE}"
TOKEN = "hf_" + "secret" * 4
PASSWORD = f"Basic {base64.b64encode(b'user:secret/word').decode()}"


@pytest.fixture
def endpoint(server, monkeypatch):
    """The test's server in place of the hub; a function names it with a password."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    server.files[PLACE] = CONTENT
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("HF_ENDPOINT", "")
    use_server(server.url(""))
    return lambda: monkeypatch.setenv(
        "HF_ENDPOINT", server.url("").replace("//", "//user:secret%2Fword@")
    )


def test_a_server_stands_in_for_the_hub_which_alone_gets_the_token(
    endpoint, server, url, get, target
):
    lines = get(row(HUB.replace("huggingface.co", "hf.co"), bytes=None, sha256=None, md5=None))
    assert lines[0] == f"file.zip: from {server.url(PLACE)}"
    target.unlink()
    get(row(url))
    assert server.passwords == [f"Bearer {TOKEN}", None]


def test_a_password_is_sent_to_its_server_only_and_not_shown(endpoint, server, get):
    endpoint()
    storage = FileServer()
    storage.files["storage"] = CONTENT
    server.files["elsewhere"] = b""
    server.faults[PLACE] = [1000, ("status", 503), ("redirect", server.url("elsewhere"))]
    server.faults["elsewhere"] = [("redirect", storage.url("storage"))]
    lines = get(row(HUB))
    storage.close()
    assert server.passwords == [PASSWORD] * 4
    assert storage.passwords == [None]
    assert "secret" not in " ".join(lines)
    with pytest.raises(UserError, match="hub_endpoint holds a password"):
        use_server("https://user:secret@hub.example.org")


@pytest.mark.parametrize("fault", [("status", 401), ("status", 503), ("bytes", b"<html>"), 0])
def test_no_error_shows_a_password(endpoint, server, refused, fault):
    endpoint()
    server.faults[PLACE] = [fault] * 5
    message = refused(row(HUB))
    assert f"{server.url(PLACE)}: " in message
    assert "secret" not in message
    for text in (f"at {TOKEN}.", "at http://user:secret@example.org/a"):
        assert "secret" not in str(UserError(text))


@pytest.mark.parametrize("wrong", ["hub.example.org", "ftp://user:secret@x", "http:// x"])
def test_a_server_that_is_no_address(endpoint, refused, monkeypatch, wrong):
    monkeypatch.setenv("HF_ENDPOINT", wrong)
    message = refused(row(HUB))
    assert message.startswith("HF_ENDPOINT is no address")
    assert "secret" not in message


def test_offline_nothing_of_the_hub_is_fetched(endpoint, server, target, get, refused, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert f"{server.url(PLACE)}: HF_HUB_OFFLINE is set" in refused(row(HUB))
    server.files["a"] = CONTENT
    get(row(HUB, server.url("a")))
    get(row(HUB))
    assert server.requests == [("a", None)]
