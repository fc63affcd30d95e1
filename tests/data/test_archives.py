import gzip
import io
import random
import stat
import tarfile
import zipfile

import pytest

from negmerge.data.archives import members, places, read_file, read_members
from negmerge.errors import UserError


def tar(*infos, content=b"abc", mode="w:gz"):
    """A tar file of a good file, others, and a good file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for info in (tarfile.TarInfo("./good/first"), *infos, tarfile.TarInfo("last")):
            if info.isreg() and not info.size:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return stream.getvalue()


def tar_member(name, kind=tarfile.REGTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def zipped(name, mode=0, content=b"abc", **changes):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("good/first", b"abc")
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return stream.getvalue()


@pytest.fixture
def save(tmp_path):
    def write(content):
        (tmp_path / "archive").write_bytes(content)
        return str(tmp_path / "archive")

    return write


def refused(path):
    with pytest.raises(UserError) as caught:
        [member.read() for member in members(path)]
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    "content",
    [
        tar(),
        tar(mode="w"),
        tar(mode="w:xz"),
        tar(tar_member("a/b", tarfile.DIRTYPE)),
        tar(tar_member("a", tarfile.SYMTYPE, "/etc/passwd")),
    ],
    ids=["gzip", "plain", "xz", "folder", "link"],
)
def test_tar_members_come_in_their_order(save, content):
    found = [(member.name, member.read()) for member in members(save(content))]
    assert found == [("good/first", b"abc"), ("last", b"abc")]


def test_zip_members_come_in_their_order(save):
    for mode in (0, stat.S_IFREG | 0o644):
        found = members(save(zipped("b/c", mode)))
        assert [(m.name, m.read()) for m in found] == [("good/first", b"abc"), ("b/c", b"abc")]
    assert [m.name for m in members(save(zipped("b/", content=b"")))] == ["good/first"]


def test_a_missing_archive_is_refused(tmp_path):
    assert refused(f"{tmp_path}/none").startswith("not a whole archive ([Errno 2] No such file")


def test_truncated_archives_are_refused(save):
    noise = random.Random(0).randbytes(4096)
    many = [tar_member(f"m{number}") for number in range(20)]
    for content in (tar(*many, content=noise), zipped("b", content=noise)):
        for share in (0.01, 0.5, 0.95):
            path = save(content[: int(share * len(content))])
            assert refused(path).startswith("not a whole archive (")


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_compressed_tar_file_that_is_cut_after_its_members_is_refused(save, mode):
    content = tar(mode=mode)
    assert [member.name for member in members(save(content))] == ["good/first", "last"]
    for less in (1, 4, 8, 12):
        assert refused(save(content[:-less])).startswith("not a whole archive (")


@pytest.mark.parametrize("place", [-8, -5, -4, -1])
def test_a_wrong_checksum_or_length_after_the_members_is_refused(save, place):
    content = bytearray(tar())
    content[place] ^= 1
    path = save(bytes(content))
    assert refused(path).startswith("not a whole archive (")
    with pytest.raises(UserError, match=r"not a whole archive \("):
        read_members(path, ["good/first"])


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_header_that_is_cut_or_broken_is_not_the_end(save, mode):
    whole = tar(mode="w")
    place = whole.index(b"last")
    packed = gzip.compress if mode == "w:gz" else bytes
    for length in (4, 100, 511):
        message = refused(save(packed(whole[: place + length])))
        assert message == "not a whole archive (a header is broken: truncated header)"
    for wrong in (b"lost", bytes(4)):
        message = refused(save(packed(whole[:place] + wrong + whole[place + 4 :])))
        assert message == "not a whole archive (a header is broken: bad checksum)"


def test_what_macos_adds_is_left_out(save, tmp_path):
    names = ("__MACOSX/good/._first", "good/._first", "__MACOSX/x")
    expected = ["good/first", "last"]
    for content in (tar(*map(tar_member, names)), tar(tar_member(f"./{names[0]}"))):
        assert [member.name for member in members(save(content))] == expected
    for name in names:
        found = [member.name for member in members(save(zipped(name)))]
        assert found == ["good/first"]
    (tmp_path / "archive").unlink()
    (tmp_path / "__MACOSX").mkdir()
    for name in ("__MACOSX/._a", "._a", "a"):
        (tmp_path / name).write_text("")
    assert [member.name for member in members(str(tmp_path))] == ["a"]


def test_a_folder_counts_as_an_archive(tmp_path):
    for name in ("b/2", "b/1", "a"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    found = [(member.name, member.read()) for member in members(str(tmp_path))]
    assert found == [("a", b"a"), ("b/1", b"b/1"), ("b/2", b"b/2")]


def test_a_folder_in_an_archive_counts_as_one(save):
    path = save(tar(tar_member("good/inner/second"), tar_member("goods")))
    found = [(member.name, member.read(), str(member)) for member in members(f"{path}/good")]
    assert found == [
        ("first", b"abc", f"{path}/good: 'first'"),
        ("inner/second", b"abc", f"{path}/good: 'inner/second'"),
    ]
    assert [one.name for one in members(f"{path}/good/inner")] == ["second"]
    assert read_members(f"{path}/good", ["first"]) == [b"abc"]
    for place in ("goo", "last", "good/first"):
        with pytest.raises(UserError) as caught:
            list(members(f"{path}/{place}"))
        assert str(caught.value) == f"{path}: holds no folder {place!r}"


def test_a_file_is_read_from_the_disk_or_from_an_archive(save, tmp_path):
    path = save(tar())
    (tmp_path / "file").write_bytes(b"on the disk")
    assert read_file(str(tmp_path / "file")) == b"on the disk"
    assert read_file(f"{path}/good/first") == b"abc"
    with pytest.raises(UserError) as caught:
        read_file(f"{path}/good/lost")
    assert str(caught.value) == f"{path}: holds no good/lost"
    with pytest.raises(UserError, match=r"lost: cannot be read: No such file or directory$"):
        read_file(str(tmp_path / "lost"))


def test_a_source_finds_its_files_in_one_archive():
    assert places({"all": "a.tar"}, {"x": "b", "y": "b/c.mat"}) == {
        "x": "a.tar/b", "y": "a.tar/b/c.mat"
    }  # fmt: skip
    assert places({"x": "a", "y": "b"}, None) == places({"x": "a", "y": "b"}, {}) == {
        "x": "a", "y": "b"
    }  # fmt: skip


def test_some_members_are_read(save):
    path = save(tar())
    assert read_members(path, ["last", "good/first"]) == [b"abc", b"abc"]
    with pytest.raises(UserError) as caught:
        read_members(path, ["last", "lost"])
    assert str(caught.value) == f"{path}: holds no lost"
