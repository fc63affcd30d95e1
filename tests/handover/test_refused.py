"""What cannot be packed or unpacked: one line says why, and nothing is left of it."""

import json
import os
import resource
import shutil
import zipfile
from pathlib import Path

import pytest

from negmerge.cli import main
from negmerge.jobs.snakemake_records import place_of

STUDY = "tiny"
RESULTS = f"results/{STUDY}"
SCORE = f"{RESULTS}/clip/digits/scores/negmerge.json"
CRATE, ABOUT = "ro-crate-metadata.json", "handover.json"


@pytest.fixture(scope="module")
def archive(finished, tmp_path_factory):
    output = tmp_path_factory.mktemp("packed") / "study.zip"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(finished.folder)
        assert main(["pack", STUDY, "-o", str(output)]) == 0
    return output


@pytest.fixture(scope="module")
def empty(checkout, tmp_path_factory):
    """A copy of the workflow in which nothing has run."""
    return checkout.copy(tmp_path_factory.mktemp("empty") / "clone").folder


def tree(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.fixture
def refused(empty, monkeypatch, capsys):
    """A function that unpacks in vain, and gives the error."""
    monkeypatch.chdir(empty)

    def unpack(archive, *words):
        before = {name: content for name, content in tree(empty).items() if content is not None}
        assert main(["unpack", str(archive), *words]) == 1
        after = {name: content for name, content in tree(empty).items() if content is not None}
        assert after == before
        assert not [path for path in (empty / "results").glob(".*") if path.is_dir()]
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix("error: ").rstrip("\n")

    return unpack


def rewritten(archive, target, change):
    """Write an archive anew; `change` gives each member's name and content, or None to drop it."""
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            changed = change(name, old.read(name))
            if changed:
                new.writestr(*changed)
    return target


def changing(place, old, new):
    """A change of a member's content."""

    def change(name, content):
        if name != place:
            return name, content
        assert old in content
        return name, content.replace(old, new, 1)

    return change


def test_a_byte_that_has_changed(archive, tmp_path, refused):
    bad = rewritten(archive, tmp_path / "bad.zip", changing(SCORE, b'"n": ', b'"n":  '))
    assert refused(bad) == f"{bad}: {SCORE!r}: more bytes, expected " + size_of(archive, SCORE)
    bad = rewritten(archive, tmp_path / "bad.zip", changing(SCORE, b"digits", b"digitz"))
    assert refused(bad).startswith(f"{bad}: {SCORE!r}: sha256 ")


def size_of(archive, place):
    with zipfile.ZipFile(archive) as opened:
        return str(opened.getinfo(place).file_size)


def test_a_byte_that_the_disk_has_changed(archive, tmp_path, refused):
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as opened:
        info = opened.getinfo(SCORE)
    content[info.header_offset + 30 + len(SCORE) + info.compress_size // 2] ^= 0xFF
    bad = tmp_path / "bad.zip"
    bad.write_bytes(content)
    assert refused(bad).startswith(f"{bad}: {SCORE!r}: ")


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut(archive, tmp_path, refused, share):
    content = archive.read_bytes()
    bad = tmp_path / "cut.zip"
    bad.write_bytes(content[: int(share * len(content))])
    assert refused(bad).startswith(f"{bad}: not a whole archive")


def test_a_file_of_something_else(archive, tmp_path, refused):
    bad = tmp_path / "other.zip"
    with zipfile.ZipFile(bad, "w") as opened:
        opened.writestr("readme.txt", "hello")
    assert refused(bad) == f"{bad}: holds no {ABOUT}"
    assert refused(tmp_path / "none.zip") == f"{tmp_path}/none.zip: no such file or folder"
    bad = rewritten(archive, tmp_path / "bad.zip", lambda n, c: (n, b"{}" if n == ABOUT else c))
    assert refused(bad).startswith(f"{bad}: {ABOUT}: the key ")
    bad = rewritten(archive, tmp_path / "bad.zip", lambda n, c: (n, b"{" if n == CRATE else c))
    assert refused(bad).startswith(f"{bad}: {CRATE} is not JSON")
    bad = rewritten(archive, tmp_path / "bad.zip", changing(ABOUT, b'"format": 1', b'"format": 2'))
    assert refused(bad) == f"{bad}: format 2, expected 1"


@pytest.mark.parametrize("place", ["../out.json", "/tmp/out.json", "results/../../out.json"])
def test_a_path_that_leaves_the_folder(archive, tmp_path, refused, place):
    bad = rewritten(archive, tmp_path / "bad.zip", lambda n, c: (place if n == SCORE else n, c))
    assert refused(bad) == f"{bad}: {place!r} leads out of the archive"


@pytest.mark.parametrize("place", ["results/other/x.json", "workflow/Snakefile", "data/../x"])
def test_a_place_that_no_study_has(archive, tmp_path, refused, place):
    def change(name, content):
        if name == CRATE:
            content = content.replace(f'"@id": "{SCORE}"'.encode(), f'"@id": "{place}"'.encode())
        return name, content

    bad = rewritten(archive, tmp_path / "bad.zip", change)
    assert refused(bad) == f"{bad}: {place!r} is no place of study {STUDY}"


def test_more_or_fewer_files_than_are_listed(archive, tmp_path, refused):
    more = f"{RESULTS}/more.json"
    bad = rewritten(archive, tmp_path / "bad.zip", lambda n, c: None if n == SCORE else (n, c))
    assert refused(bad) == f"{bad}: lacks {SCORE}, which it should hold; it is cut"
    bad = rewritten(archive, tmp_path / "bad.zip", lambda n, c: (n, c))
    with zipfile.ZipFile(bad, "a") as opened:
        opened.writestr(more, "{}")
    assert refused(bad) == f"{bad}: {more!r}: not in its list of files, or there twice"


def test_a_study_that_is_there_already(archive, empty, refused):
    (empty / RESULTS).mkdir(parents=True)
    try:
        assert refused(archive) == f"{RESULTS}: is there already; move it away, then unpack"
    finally:
        (empty / RESULTS).rmdir()


def test_another_version_of_the_code(archive, tmp_path, refused):
    with zipfile.ZipFile(archive) as opened:
        code = json.loads(opened.read(ABOUT))["code"]
    other = code[::-1]

    def change(name, content):
        return name, content.replace(code.encode(), other.encode()) if name == ABOUT else content

    bad = rewritten(archive, tmp_path / "bad.zip", change)
    assert "packed with another version of the workflow (0.1.0, commit " in refused(bad)
    assert "--other-code" in refused(bad)
    # With it, this archive is refused for its changed list only.
    assert refused(bad, "--other-code").startswith(f"{bad}: {ABOUT!r}: sha256 ")


def test_settings_that_differ(archive, empty, refused):
    path = empty / "config" / "models.yaml"
    text = path.read_text()
    path.write_text(text + "# mine\n")
    try:
        assert refused(archive) == (
            "config/models.yaml: not the one that the study was made with; `--replace` takes that "
            "one, and keeps yours as models.yaml.before"
        )
    finally:
        path.write_text(text)


def test_data_that_differ(finished, empty, tmp_path, refused, monkeypatch, capsys):
    monkeypatch.chdir(finished.folder)
    output = tmp_path / "images.zip"
    assert main(["pack", STUDY, "-o", str(output), "--images"]) == 0
    capsys.readouterr()
    monkeypatch.chdir(empty)
    path = empty / "data" / "digits" / "images.safetensors"
    path.parent.mkdir(parents=True)
    path.write_text("other")
    try:
        assert refused(output) == (
            "data/digits/images.safetensors: other images than those of the study; move them away"
        )
    finally:
        shutil.rmtree(empty / "data")


def test_a_disk_that_is_full(archive, refused):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        assert refused(archive) == (
            f"{RESULTS}: cannot be written: File too large; make room and run again"
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.fixture
def not_packed(editable, monkeypatch, capsys, tmp_path):
    """A function that packs in vain, and gives the error."""
    monkeypatch.chdir(editable.folder)

    def pack(*words):
        output = tmp_path / "no.zip"
        assert main(["pack", STUDY, "-o", str(output), *words]) == 1
        assert not list(tmp_path.glob("*.zip"))
        assert not list(tmp_path.glob(".*"))
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        return err.removeprefix("error: ").rstrip("\n")

    return pack


def test_a_study_that_cannot_be_packed(not_packed):
    locks = Path(".snakemake/locks")
    locks.mkdir(exist_ok=True)
    (locks / "0.output.lock").write_text(f"{SCORE}\n")
    assert not_packed().startswith(f"{RESULTS}: a run is at work on it; wait for its end, or, if ")
    shutil.rmtree(locks)
    mark = place_of(SCORE, Path(".snakemake/incomplete"))
    mark.write_text("{}")
    assert not_packed().startswith(f"{RESULTS}: a run is at work on it; ")
    mark.unlink()
    score, times = Path(SCORE), os.stat(SCORE)
    score.write_text(score.read_text().replace("digits", "digitz"))
    os.utime(score, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not_packed().startswith(f"{SCORE}: sha256 ")
    score.unlink()
    assert not_packed().startswith(f"{SCORE}: missing, though it was made; ")
    Path(f"{RESULTS}/report.html").unlink()
    assert " jobs are still to do, the first makes " in not_packed()
    shutil.rmtree(RESULTS)
    assert not_packed() == f"{RESULTS}: no such folder: nothing of the study has run here"
