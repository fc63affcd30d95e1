"""Downloads: what breaks off, what stands in the way, who stands in for whom, and passwords."""

import base64
import fcntl
import os
import re
import signal
import subprocess
import sys
import time

import pytest
from download_case import CONTENT, QUICK, WRONG, described, sums
from file_server import FileServer

from negmerge.data.fetch import Progress, counted, download

PLACE = f"datasets/owner/set/resolve/{'1' * 40}/file.zip"
HUB = f"https://huggingface.co/{PLACE}"
TOKEN = "hf_" + "secret" * 4
PASSWORD = f"Basic {base64.b64encode(b'user:secret/word').decode()}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def endpoint(server, monkeypatch):
    """The test's server in place of the hub, with a password if a pair of names is given."""

    def use(pair=""):
        monkeypatch.setenv("HF_ENDPOINT", server.url("").replace("//", f"//{pair}"))

    server.files[PLACE] = CONTENT
    use()
    return use


def leave(target, content):
    target.parent.mkdir(parents=True)
    target.with_name(".file.zip.part").write_bytes(content)


def test_a_file_arrives_whole_and_is_not_fetched_again(server, one, get):
    lines = get(described(one, sha256="0" * 64))  # one of two checksums is enough
    assert lines[0] == f"file.zip: from {one}"
    assert re.fullmatch(
        r"file\.zip: 0\.3 of 0\.3 MB \(100 %\), [\d.]+ MB/s, 0:00:00 left", lines[-1]
    )
    assert get(described(one)) == []
    assert server.requests == [("a", None)]


RESUMED = {
    "at once": ([0], [None, None]),
    "later": ([150_000], [None, "bytes=150000-"]),
    "at the last byte": ([299_999], [None, "bytes=299999-"]),
    "without a length": ([("no length", 1000)], [None, "bytes=1000-"]),
    "a stall": ([("stall", 1000)], [None, "bytes=1000-"]),
    "without ranges": ([150_000, "no range"], [None, "bytes=150000-"]),
    "too many requests": ([("status", 429)], [None, None]),
    "a server in trouble": ([("status", 503)], [None, None]),
}


@pytest.mark.parametrize(("faults", "parts"), RESUMED.values(), ids=RESUMED)
def test_what_breaks_off_is_resumed(server, one, get, faults, parts):
    server.faults["a"] = faults
    get(described(one), timeout=0.2)
    assert [part for _, part in server.requests] == parts


def test_where_nobody_knows_the_size_a_cut_answer_is_fetched_anew(server, one, get):
    server.faults["a"] = [("no length", 1000)]
    assert any("it may be cut" in line for line in get(described(one, bytes=None)))
    assert server.requests == [("a", None), ("a", None)]


@pytest.mark.parametrize("fault", [("status", 404), ("bytes", WRONG), ("bytes", b"<html>"), 1000])
def test_the_next_address_takes_over(server, one, get, fault):
    server.files["b"] = CONTENT
    server.faults["a"] = [fault]
    get(described(one, server.url("b")))
    assert server.requests == [("a", None), ("b", "bytes=1000-" if fault == 1000 else None)]


def test_errors_name_the_file_what_was_found_and_what_was_expected(server, one, target, refused):
    server.files["a"] = WRONG
    message = refused(described(one) | {"instead": ["cars: original", "cars: parquet"]})
    found, expected = sums(WRONG), sums(CONTENT)
    assert message == (
        f"{target}: not downloaded: {one}: found 300000 bytes, sha256 {found['sha256']}, md5 "
        f"{found['md5']}; expected 300000 bytes, sha256 {expected['sha256']}, md5 "
        f"{expected['md5']}; run the same command again to continue, or put the file there by "
        "hand, or take the images from elsewhere: --config 'data_sources={cars: original}' or "
        "--config 'data_sources={cars: parquet}'"
    )
    server.files["a"] = CONTENT + b"1"
    assert f"{one}: offers 300001 bytes, expected 300000" in refused(described(one))
    server.faults["a"] = [1000] + [("status", 503)] * 5
    server.files["a"] = CONTENT
    message = refused(described(one), left=[".file.zip.part"])
    assert f"{one}: HTTP 503 Service Unavailable; expected 300000 bytes, sha256 " in message


@pytest.mark.parametrize("size", [1, 300_000, 300_001])
def test_a_rest_of_another_file_does_no_harm(server, one, target, get, size):
    leave(target, b"x" * size)
    get(described(one))
    assert server.requests[-1] == ("a", None)


def test_a_wrong_part_is_not_taken(server, one, target, refused):
    leave(target, CONTENT[:1000])
    server.faults["a"] = [("range", "bytes 2000-299999")]
    message = refused(described(one), left=[".file.zip.part"])
    assert "from byte 1000 on: 'bytes 2000-299999/300000'" in message


def test_a_killed_process_leaves_a_part_with_which_the_next_goes_on(server, one, target, get):
    server.faults["a"] = [("slow", 30_000, 0.2)]
    code = f"from negmerge.data.fetch import download; download({str(target)!r}, {described(one)})"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    part, end = target.with_name(".file.zip.part"), time.monotonic() + 60
    while not (part.exists() and part.stat().st_size) and time.monotonic() < end:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name for path in target.parent.iterdir()] == [".file.zip.part"]
    get(described(one))
    assert int(server.requests[-1][1].removeprefix("bytes=").removesuffix("-")) > 0


def test_two_processes_do_not_write_one_file(one, target, refused):
    leave(target, CONTENT[:1000])
    with open(target.with_name(".file.zip.part"), "rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        message = refused(described(one), left=[".file.zip.part"])
    assert message == f"{target}: another process is downloading it"


def test_files_to_be_fetched_by_hand_are_named_together_and_checked(one, target, get, refused):
    file = described(one, manual="Ask the authors for it.", md5=None)
    other = file | {"name": "b.zip", "bytes": None, "urls": [], "only_for": "birds"}
    there = file | {"name": "there.zip"}
    target.parent.mkdir(parents=True)
    (target.parent / "there.zip").write_bytes(b"")
    message = refused(file, left=["there.zip"], by_hand=[file, there, other])
    assert message == (
        f"{target.parent}: 2 files are missing that a person has to fetch: file.zip (300000 bytes, "
        f"sha256 {file['sha256']}, published at {one}); b.zip (sha256 {file['sha256']}, only for "
        f"birds). Ask the authors for it. Put what is missing into {target.parent}, under these "
        "names, and run the same command again"
    )
    (target.parent / "there.zip").unlink()
    target.write_bytes(CONTENT[:-1])
    assert refused(file) == (
        f"{target}: not the right file: found 299999 bytes, expected 300000 bytes, sha256 "
        f"{file['sha256']}; delete it and run again"
    )
    target.write_bytes(CONTENT)
    get(file)


@pytest.mark.parametrize("url", [HUB, f"https://hf.co/{PLACE}"])
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


def test_a_password_goes_to_its_server_only_and_is_not_shown(endpoint, server, get):
    endpoint("user:secret%2Fword@")
    storage = FileServer()
    storage.files["storage"] = CONTENT
    server.files["elsewhere"] = b""
    server.faults[PLACE] = [("status", 503), ("redirect", server.url("elsewhere"))]
    server.faults["elsewhere"] = [("redirect", storage.url("storage"))]
    lines = get(described(HUB))
    storage.close()
    assert server.passwords == [PASSWORD] * 3
    assert storage.passwords == [None]
    assert "secret" not in " ".join(lines)


@pytest.mark.parametrize("fault", [("status", 401), ("status", 503), ("bytes", b"<html>"), 0])
def test_no_error_shows_a_password(endpoint, server, refused, monkeypatch, fault):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    endpoint("user:secret%2Fword@")
    server.faults[PLACE] = [fault] * 5
    message = refused(described(HUB), left=[".file.zip.part"])
    assert f"{server.url(PLACE)}: " in message
    assert "secret" not in message


@pytest.mark.parametrize("wrong", ["hub.example.org", "http://user:secret/word@x"])
def test_a_server_that_is_no_address(endpoint, refused, monkeypatch, wrong):
    monkeypatch.setenv("HF_ENDPOINT", wrong)
    message = refused(described(HUB), left=[".file.zip.part"])
    assert message.startswith("HF_ENDPOINT ")
    assert "secret" not in message


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


def test_progress_tells_amount_rate_and_the_rest(capsys):
    assert list(counted("cats", iter("abc"), 4)) == ["a", "b", "c"]
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"cats: 3 of 4 images \(75 %\), \d+ images/s, 0:00:\d\d left", line)
    lines = []
    with Progress("dogs", 0, None, seconds=0, write=lines.append) as progress:
        progress.add(2_500_000)
    assert len(lines) == 2
    assert all(re.fullmatch(r"dogs: 2\.5 MB, [\d.]+ MB/s", line) for line in lines)
