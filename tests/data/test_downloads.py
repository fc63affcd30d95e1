import re

import pytest
from download_case import CONTENT, WRONG, described, sums


def test_a_file_arrives_whole(server, one, get):
    lines = get(described(one))
    assert server.requests == [("a", None)]
    assert lines[0] == f"file.zip: from {one}"
    assert re.fullmatch(
        r"file\.zip: 0\.3 of 0\.3 MB \(100 %\), [\d.]+ MB/s, 0:00:00 left", lines[-1]
    )


def test_one_of_two_checksums_is_enough(one, get):
    get(described(one, sha256="0" * 64))


@pytest.mark.parametrize("after", [0, 1, 150_000, 299_999])
def test_a_cut_connection_is_resumed(server, one, get, after):
    server.faults["a"] = [after]
    get(described(one))
    parts = [part for _, part in server.requests]
    assert parts == [None, f"bytes={after}-" if after else None]


def test_a_server_that_breaks_at_the_same_place_is_given_up(server, one, refused):
    server.faults["a"] = [1000] + [("status", 503)] * 5
    message = refused(described(one), left=[".file.zip.part"])
    assert f"{one}: HTTP 503 Service Unavailable; expected 300000 bytes, sha256 " in message


def test_what_cannot_be_had_may_be_had_elsewhere(one, refused):
    file = described(one.replace("/a", "/b")) | {"instead": ["cars: original", "cars: parquet"]}
    assert refused(file).endswith(
        "or put the file there by hand, or take the images from elsewhere: "
        "--config 'data_sources={cars: original}' or --config 'data_sources={cars: parquet}'"
    )


def test_without_ranges_it_starts_anew(server, one, get):
    server.faults["a"] = [150_000, "no range"]
    get(described(one))
    assert server.requests[-1] == ("a", "bytes=150000-")


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
    message = refused(described(one))
    found, expected = sums(WRONG), sums(CONTENT)
    assert message == (
        f"{target}: not downloaded: {one}: found 300000 bytes, sha256 {found['sha256']}, md5 "
        f"{found['md5']}; expected 300000 bytes, sha256 {expected['sha256']}, md5 "
        f"{expected['md5']}; run the same command again to continue, or put the file there by hand"
    )


def test_another_size_is_refused_before_it_comes(server, one, refused):
    server.files["a"] = CONTENT + b"1"
    assert f"{one}: offers 300001 bytes, expected 300000" in refused(described(one))
    server.faults["a"] = ["no length"]
    assert "gives more than the 300000 bytes" in refused(described(one))


def test_a_cut_answer_without_a_length_is_resumed(server, one, get):
    server.faults["a"] = [("no length", 1000)]
    lines = get(described(one))
    assert "file.zip: the connection ended after 1000 of 300000 bytes" in lines
    assert server.requests == [("a", None), ("a", "bytes=1000-")]


def test_where_nobody_knows_the_size_a_cut_answer_is_fetched_anew(server, one, get, refused):
    server.faults["a"] = [("no length", 1000)]
    file = described(one, bytes=None)
    (cut,) = [line for line in get(file) if "may be cut" in line]
    assert cut.startswith("file.zip: found 1000 bytes, sha256 ")
    assert server.requests == [("a", None), ("a", None)]
