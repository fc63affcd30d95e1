"""What earlier downloads, other processes or a person have left at the place of a file."""

import os
import signal
import subprocess
import sys
import time

import pytest
from download_case import CONTENT, WRONG, described


def leave(target, content):
    target.parent.mkdir(parents=True)
    target.with_name(".file.zip.part").write_bytes(content)


@pytest.mark.parametrize("size", [1, 200_000, 300_000, 300_001])
def test_a_rest_of_another_file_does_no_harm(server, one, target, get, size):
    leave(target, b"x" * size)
    get(described(one))
    assert server.requests[-1] == ("a", None)


def test_a_wrong_part_is_not_taken(server, one, target, refused):
    leave(target, CONTENT[:1000])
    server.faults["a"] = [("range", "bytes 2000-299999")]
    message = refused(described(one), left=[".file.zip.part"])
    assert "sent another part than the one from byte 1000 on: 'bytes 2000-299999/300000'" in message


def test_a_file_that_is_there_is_checked_and_not_fetched(server, one, target, get, refused):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    get(described(one))
    target.write_bytes(WRONG)
    assert f"{target}: not the right file: found 300000 bytes" in refused(described(one))
    assert not server.requests


def test_a_file_to_be_fetched_by_hand(server, one, target, get, refused):
    file = described(one, manual="Ask the authors for it.", md5=None)
    folder = target.parent
    assert refused(file) == (
        f"{folder}: 1 file is missing that a person has to fetch: file.zip (300000 bytes, sha256 "
        f"{file['sha256']}, published at {one}). Ask the authors for it. Put what is missing into "
        f"{folder}, under these names, and run the same command again"
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


def test_one_message_names_all_files_to_be_fetched_by_hand(one, target, refused):
    file = described(one, manual="Ask the authors for it.")
    known = f"300000 bytes, sha256 {file['sha256']}, md5 {file['md5']}"
    there = file | {"name": "there.zip"}
    other = file | {"name": "b.zip", "bytes": None, "sha256": None, "urls": [], "only_for": "birds"}
    third = file | {"name": "c.zip", "manual": "Get it from the moon"}
    target.parent.mkdir(parents=True)
    (target.parent / "there.zip").write_bytes(b"")
    message = refused(file, left=["there.zip"], by_hand=[file, there, other, third])
    assert message.removeprefix(f"{target.parent}: ").rpartition(" Put what ")[0] == (
        f"3 files are missing that a person has to fetch: file.zip ({known}, published at {one}); "
        f"b.zip (md5 {file['md5']}, only for birds); c.zip ({known}, published at {one}). Ask the "
        "authors for it. Get it from the moon."
    )


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
