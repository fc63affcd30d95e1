"""Archives are read file by file, to their ends, and what is broken is named."""

import io
import random
import tarfile
import zipfile

import pytest

from negmerge.data.archives import listed_members, members, read_file, read_members
from negmerge.errors import UserError


def tar(*names, content=b"abc", mode="w:gz", kind=tarfile.REGTYPE):
    """A tar file of a good file, others, and a good file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name in ("./good/first", *names, "last"):
            info = tarfile.TarInfo(name)
            info.type = kind if name in names else tarfile.REGTYPE
            info.size, info.linkname = len(content) if info.isreg() else 0, "/etc/passwd"
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return stream.getvalue()


def zipped(name, content=b"abc"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("good/first", b"abc")
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture
def save(tmp_path):
    def write(content):
        (tmp_path / "archive").write_bytes(content)
        return str(tmp_path / "archive")

    return write


def names(path):
    return [member.name for member in members(path)]


def refused(path):
    with pytest.raises(UserError) as caught:
        [member.read() for member in members(path)]
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_files_of_tar_archives_come_in_their_order(save, mode):
    for content in (tar(mode=mode), tar("a", mode=mode, kind=tarfile.SYMTYPE)):
        contents = [(member.name, member.read()) for member in members(save(content))]
        assert contents == [("good/first", b"abc"), ("last", b"abc")]
    if mode != "w":
        for less in (1, 4, 8, 12):  # after the last member
            refused(save(tar(mode=mode)[:-less]))


def test_files_of_zip_archives_and_folders_come_in_their_order(save, tmp_path):
    contents = [(member.name, member.read()) for member in members(save(zipped("b/c")))]
    assert contents == [("good/first", b"abc"), ("b/c", b"abc")]
    assert names(save(zipped("b/", b""))) == ["good/first"]
    for name in ("b/2", "b/1", "a"):
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_text(name)
    contents = [(member.name, member.read()) for member in members(str(tmp_path / "folder"))]
    assert contents == [("a", b"a"), ("b/1", b"b/1"), ("b/2", b"b/2")]


def test_what_is_cut_or_broken_is_refused(save, tmp_path):
    refused(f"{tmp_path}/none")
    noise = random.Random(0).randbytes(4096)
    many = [f"m{number}" for number in range(20)]
    for content in (tar(*many, content=noise), zipped("b", noise)):
        for share in (0.01, 0.5, 0.95):
            refused(save(content[: int(share * len(content))]))
    # A wrong checksum or length after the members, also if nobody asks for the last of them.
    for place in (-8, -5, -4, -1):
        content = bytearray(tar())
        content[place] ^= 1
        path = save(bytes(content))
        refused(path)
        with pytest.raises(UserError, match=f"^{path}: "):
            read_members(path, ["good/first"])


def test_what_macos_adds_is_left_out(save):
    of_mac = ("__MACOSX/good/._first", "good/._first", "__MACOSX/x")
    assert names(save(tar(*of_mac))) == names(save(tar(f"./{of_mac[0]}"))) == ["good/first", "last"]
    assert all(names(save(zipped(name))) == ["good/first"] for name in of_mac)


def test_a_folder_in_an_archive_counts_as_one(save):
    path = save(tar("good/inner/second", "goods"))
    contents = [(member.name, member.read(), str(member)) for member in members(f"{path}/good")]
    assert contents == [
        ("first", b"abc", f"{path}/good: 'first'"),
        ("inner/second", b"abc", f"{path}/good: 'inner/second'"),
    ]
    assert names(f"{path}/good/inner") == ["second"]
    assert read_members(f"{path}/good", ["first"]) == [b"abc"]
    for place in ("goo", "last", "good/first"):
        with pytest.raises(UserError, match=f"^{path}: holds no folder {place!r}$"):
            list(members(f"{path}/{place}"))


def test_some_files_are_read_by_name_from_the_disk_or_an_archive(save, tmp_path):
    path = save(tar())
    (tmp_path / "file").write_bytes(b"on the disk")
    assert read_file(str(tmp_path / "file")) == b"on the disk"
    assert read_file(f"{path}/good/first") == b"abc"
    assert read_members(path, ["last", "good/first"]) == [b"abc", b"abc"]
    listed = {"last": 1, "good/first": 2}
    assert [place for _, place in listed_members(path, listed)] == [2, 1]
    for read, finding in {
        lambda: read_file(f"{path}/good/lost"): f"{path}: holds no good/lost",
        lambda: read_file(f"{tmp_path}/lost"): f"{tmp_path}/lost: cannot be read: No such file or",
        lambda: list(listed_members(path, {"b": 0, "a": 1})): f"{path}: lacks 2 files that it sho",
    }.items():
        with pytest.raises(UserError) as caught:
            read()
        assert str(caught.value).startswith(finding)
