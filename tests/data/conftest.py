import pytest
from download_case import CONTENT, QUICK
from file_server import FileServer
from small_rows import small, written

from negmerge.data.download import download
from negmerge.data.preparation import prepare
from negmerge.errors import UserError


@pytest.fixture
def server():
    found = FileServer()
    yield found
    found.close()


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


@pytest.fixture
def original(catalogue, tmp_path):
    """A function that prepares the small form of a set from its original files."""

    def run(name, made):
        row = small(catalogue.contents(name), made)
        paths = written(made, tmp_path)
        prepare(name, row, list(paths.values()), tmp_path / "original")
        return tmp_path / "original"

    return run


@pytest.fixture
def mirror(catalogue):
    """A function that gives the row of a mirror for the sizes of a made set."""

    def row(name, called, made, class_names):
        (found,) = (one for one in catalogue.datasets[name].mirrors if one.name == called)
        whole = catalogue.contents(name, found)
        splits = {split: len(made.expected[split]) for split in whole["splits"]}
        whole |= {"splits": splits, "classes": made.classes}
        return whole | ({"class_names": class_names} if "class_names" in whole else {})

    return row


@pytest.fixture
def fetched(server, tmp_path, catalogue):
    """A function that gets files from a server that breaks off once; of none the size is known."""

    def run(row, files):
        paths = []
        for key, content in files.items():
            file = row["files"][key]
            assert (file["bytes"], file["sha256"], file["md5"]) == (None, None, None)
            server.files[file["name"]] = content
            server.faults[file["name"]] = [100]
            path = tmp_path / "mirror" / file["name"]
            download(
                path,
                file | {"urls": [server.url(file["name"])], "manual": None},
                pauses=(0, 0),
                write=lambda line: None,
            )
            paths.append(str(path))
        return paths

    return run
