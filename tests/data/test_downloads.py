import hashlib
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from negmerge.catalogue import Download
from negmerge.data.download import download
from negmerge.errors import UserError

CONTENT = np.random.default_rng(0).bytes(300_000)
WRONG = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
QUICK = {"pauses": (0, 0.01, 0.02), "timeout": 0.5, "every": 0.05}


def sums(content):
    return {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}


def described(*urls, content=CONTENT, **changes):
    settings = {"urls": list(urls), "bytes": len(content), **sums(content)} | changes
    return Download(name="file.zip", **settings).model_dump()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "set" / "file.zip"


@pytest.fixture
def get(target):
    """A function that downloads and gives the lines that were printed."""

    def run(file, **options):
        lines = []
        download(target, file, **(QUICK | {"write": lines.append} | options))
        assert target.read_bytes() == CONTENT
        assert list(target.parent.iterdir()) == [target]
        return lines

    return run


@pytest.fixture
def refused(target):
    def run(file, left=(), **options):
        before = target.read_bytes() if target.exists() else None
        with pytest.raises(UserError) as caught:
            download(target, file, **(QUICK | {"write": lambda line: None} | options))
        assert "\n" not in str(caught.value)
        assert (target.read_bytes() if target.exists() else None) == before
        found = {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()
        assert found - {"file.zip"} <= set(left)
        return str(caught.value)

    return run


@pytest.fixture
def one(server):
    server.files["a"] = CONTENT
    return server.url("a")


def test_a_file_arrives_whole(server, one, get):
    lines = get(described(one))
    assert server.requests == [("a", None)]
    assert lines[0] == f"file.zip: from {one}"
    assert re.fullmatch(
        r"file\.zip: 0\.3 of 0\.3 MB \(100 %\), [\d.]+ MB/s, 0:00:00 left", lines[-1]
    )


@pytest.mark.parametrize("known", [{"bytes": None}, {"sha256": None}, {"md5": None}])
def test_size_and_checksums_need_not_all_be_known(one, get, known):
    get(described(one, **known))


def test_one_of_two_checksums_is_enough(one, get):
    get(described(one, sha256="0" * 64))


@pytest.mark.parametrize("after", [0, 1, 150_000, 299_999])
def test_a_cut_connection_is_resumed(server, one, get, after):
    server.faults["a"] = [after]
    get(described(one))
    parts = [part for _, part in server.requests]
    assert parts == [None, f"bytes={after}-" if after else None]


def test_a_long_file_may_break_more_often_than_there_are_attempts(server, one, get):
    server.faults["a"] = [30_000] * 9
    get(described(one), pauses=(0, 0))
    assert server.requests[-1] == ("a", "bytes=270000-")


def test_a_server_that_breaks_at_the_same_place_is_given_up(server, one, refused):
    server.faults["a"] = [1000] + [("status", 503)] * 5
    message = refused(described(one), left=[".file.zip.part"])
    assert f"{one}: HTTP 503 Service Unavailable; run the same command again to go on" in message


def test_without_ranges_it_starts_anew(server, one, get):
    server.faults["a"] = [150_000, "no range"]
    get(described(one))
    assert server.requests[-1] == ("a", "bytes=150000-")


def test_an_answer_without_a_length_is_fine(server, one, get):
    server.faults["a"] = ["no length"]
    assert "0.3 of 0.3 MB" in get(described(one))[-1]


def test_progress_is_told_while_it_lasts(server, one, get):
    server.faults["a"] = [("slow", 30_000, 0.05)]
    lines = get(described(one))
    measured = [line for line in lines if "MB/s" in line]
    assert len(measured) >= 4
    assert all(re.search(r"[\d.]+ of 0\.3 MB \(\d+ %\)", line) for line in measured)


def test_a_stall_counts_as_broken(server, one, get):
    server.faults["a"] = [("stall", 1000)]
    lines = get(described(one), timeout=0.2)
    assert "file.zip: the connection broke (timed out)" in lines
    assert server.requests[-1] == ("a", "bytes=1000-")


@pytest.mark.parametrize("code", [429, 500, 503])
def test_passing_errors_are_tried_again(server, one, get, code):
    server.faults["a"] = [("status", code)]
    get(described(one))
    assert len(server.requests) == 2


@pytest.mark.parametrize("fault", [("status", 404), ("bytes", WRONG), ("bytes", b"<html>")])
def test_a_mirror_takes_over(server, one, get, fault):
    server.files["b"] = CONTENT
    server.faults["a"] = [fault]
    get(described(one, server.url("b")))
    assert server.requests == [("a", None), ("b", None)]


def test_a_mirror_goes_on_where_the_first_broke(server, one, get):
    server.files["b"] = CONTENT
    server.faults["a"] = [1000]
    get(described(one, server.url("b")))
    assert server.requests == [("a", None), ("b", "bytes=1000-")]


def test_wrong_bytes_are_refused_with_what_was_found(server, one, target, refused):
    server.files["a"] = WRONG
    message = refused(described(one), left=[".file.zip.part"])
    found, expected = sums(WRONG), sums(CONTENT)
    assert message == (
        f"{target}: not downloaded: {one}: found 300000 bytes, sha256 {found['sha256']}, md5 "
        f"{found['md5']}, expected 300000 bytes, sha256 {expected['sha256']}, md5 "
        f"{expected['md5']}; run the same command again to go on"
    )
    assert target.with_name(".file.zip.part").stat().st_size == 0


def test_another_size_is_refused_before_it_comes(server, one, refused):
    server.files["a"] = CONTENT + b"1"
    message = refused(described(one), left=[".file.zip.part"])
    assert f"{one}: offers 300001 bytes, expected 300000" in message
    server.faults["a"] = ["no length"]
    assert "gives more than the 300000 bytes" in refused(described(one), left=[".file.zip.part"])


def leave(target, content):
    target.parent.mkdir(parents=True)
    target.with_name(".file.zip.part").write_bytes(content)


@pytest.mark.parametrize("size", [1, 200_000, 300_000, 300_001])
def test_a_rest_of_another_file_does_no_harm(server, one, target, get, size):
    leave(target, b"x" * size)
    get(described(one))
    assert server.requests[-1] == ("a", None)


def test_a_whole_rest_is_not_fetched_again(server, one, target, get):
    leave(target, CONTENT)
    get(described(one))
    assert not server.requests


def test_a_wrong_part_is_not_taken(server, one, target, refused):
    leave(target, CONTENT[:1000])
    server.faults["a"] = [("range", "bytes 2000-299999")]
    message = refused(described(one), left=[".file.zip.part"])
    assert "answers with another part than that from 1000 on: 'bytes 2000-299999/300000'" in message


def test_no_server(server, target, refused):
    server.close()
    message = refused(described(server.url("a")), left=[".file.zip.part"])
    assert "no connection ([Errno 111] Connection refused)" in message


def test_a_file_that_is_there_is_checked_and_not_fetched(server, one, target, get, refused):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    get(described(one))
    target.write_bytes(WRONG)
    assert f"{target}: not the right file: found 300000 bytes" in refused(described(one))
    assert not server.requests


def test_a_file_to_be_fetched_by_hand(server, one, target, get, refused):
    file = described(one, manual="Ask the authors for it.", md5=None)
    assert refused(file) == (
        "file.zip has to be fetched by hand: Ask the authors for it. It has 300000 bytes, sha256 "
        f"{file['sha256']}. Put it at {target} and run the same command again"
    )
    assert not server.requests
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1])
    assert refused(file) == (
        f"{target}: not the right file: found 299999 bytes, expected 300000 bytes, sha256 "
        f"{file['sha256']}; delete it and run again"
    )
    target.write_bytes(CONTENT)
    get(file)


def test_a_folder_that_is_none(one, tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(UserError, match="cannot be written: "):
        download(tmp_path / "data" / "file.zip", described(one), **QUICK)


@pytest.fixture
def other_process(target):
    """A function that starts a process that downloads, and waits until something has come."""
    started = []

    def start(file):
        code = f"from negmerge.data.download import download; download({str(target)!r}, {file!r})"
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        started.append(process)
        rest = target.with_name(".file.zip.part")
        end = time.monotonic() + 20
        while not (rest.exists() and rest.stat().st_size) and time.monotonic() < end:
            time.sleep(0.01)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_killed_process_leaves_nothing_that_is_taken_for_the_file(
    server, one, target, get, other_process
):
    server.faults["a"] = [("slow", 30_000, 0.2)]
    process = other_process(described(one))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert [path.name for path in target.parent.iterdir()] == [".file.zip.part"]
    get(described(one))
    part = server.requests[-1][1]
    assert int(part.removeprefix("bytes=").removesuffix("-")) > 0


def test_two_processes_do_not_write_one_file(server, one, target, refused, other_process):
    server.faults["a"] = [("slow", 30_000, 0.1)]
    process = other_process(described(one))
    message = refused(described(one), left=[".file.zip.part"])
    assert message == f"{target}: another process is downloading it"
    assert process.wait() == 0
    assert target.read_bytes() == CONTENT
