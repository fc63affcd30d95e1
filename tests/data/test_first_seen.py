"""Files of which nobody has published size and SHA-256 are compared with what came first."""

import json

import pytest
from download_case import CONTENT, WRONG, described, sums

from negmerge.data import checksums
from negmerge.data.checksums import verify
from negmerge.errors import UserError

RECORD = "file.zip.first-seen.json"
INCOMPLETE = [{"bytes": None}, {"sha256": None}, {"bytes": None, "sha256": None}]
# As if the two had one MD5, which is possible for files that somebody has made so.
FOOLED = {"bytes": None, "sha256": None, "md5": sums(WRONG)["md5"]}


@pytest.fixture
def record(target):
    return target.with_name(RECORD)


@pytest.mark.parametrize("unknown", INCOMPLETE)
def test_the_first_download_is_recorded(one, get, record, unknown):
    get(described(one, **unknown))
    expected = {"bytes": len(CONTENT), "sha256": sums(CONTENT)["sha256"]}
    assert json.loads(record.read_text()) == expected


def test_what_the_row_says_needs_no_record(one, target, get, record):
    get(described(one))
    verify(target, described(one))
    assert not record.exists()


def test_a_later_download_must_be_equal(server, one, target, get, refused, record):
    get(described(one, bytes=None, sha256=None))
    target.unlink()
    server.files["a"] = WRONG
    message = refused(described(one, **FOOLED), left=[RECORD])
    assert message.startswith(
        f"{target}: not downloaded: {one}: found 300000 bytes, sha256 {sums(WRONG)['sha256']}, but "
        f"{record} says 300000 bytes, sha256 {sums(CONTENT)['sha256']}; delete the file and run "
        "again, or delete the record if the new file is right"
    )
    server.files["a"] = CONTENT
    get(described(one, bytes=None, sha256=None))


def test_a_file_that_changed_at_its_place_is_refused(one, target, get, record):
    get(described(one, sha256=None))
    target.write_bytes(WRONG)
    with pytest.raises(UserError) as caught:
        verify(target, described(one, **FOOLED))
    assert str(caught.value).startswith(
        f"{target}: not the file that came first: found 300000 bytes, sha256 "
        f"{sums(WRONG)['sha256']}, but {record} says 300000 bytes, sha256 "
    )
    assert "\n" not in str(caught.value)
    record.unlink()
    verify(target, described(one, **FOOLED))
    assert json.loads(record.read_text())["sha256"] == sums(WRONG)["sha256"]


def test_a_file_that_a_person_has_put_there_is_recorded_when_it_is_read(target, record):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    verify(target, described(bytes=None, sha256=None, manual="Ask."))
    assert json.loads(record.read_text())["bytes"] == len(CONTENT)


def test_a_wrong_file_is_not_recorded(target, record):
    target.parent.mkdir(parents=True)
    target.write_bytes(WRONG)
    with pytest.raises(UserError, match="not the right file"):
        verify(target, described(bytes=None, sha256=None))
    assert not record.exists()


def test_a_folder_that_cannot_be_written_is_no_error(target, monkeypatch, capsys):
    def refuse(path, value):
        raise UserError(f"{path}: cannot be written: Read-only file system")

    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    monkeypatch.setattr(checksums, "write_json", refuse)
    verify(target, described(sha256=None))
    assert capsys.readouterr().out.startswith("not recorded: ")


@pytest.mark.parametrize("content", ["", "{}", '{"bytes": 3}', "[]"])
def test_a_broken_record_is_one_line(target, record, content):
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    record.write_text(content)
    with pytest.raises(UserError) as caught:
        verify(target, described(sha256=None))
    assert str(caught.value).startswith(f"{record}: ")
    assert str(caught.value).endswith("; delete it and run again")
    assert "\n" not in str(caught.value)
