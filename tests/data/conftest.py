import pytest
from download_case import CONTENT, QUICK
from file_server import FileServer
from made_files import small, written

from negmerge.data.fetch import download
from negmerge.data.preparation import prepare
from negmerge.errors import UserError


@pytest.fixture
def server():
    server = FileServer()
    yield server
    server.close()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "downloads" / "set" / "file.zip"


@pytest.fixture
def one(server):
    """The address of the file on the test's server."""
    server.files["a"] = CONTENT
    return server.url("a")


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
    """A function that downloads in vain and gives the error; `left` may lie there afterwards."""

    def run(file, left=(), **options):
        before = target.read_bytes() if target.exists() else None
        with pytest.raises(UserError) as caught:
            download(target, file, **(QUICK | {"write": lambda line: None} | options))
        assert "\n" not in str(caught.value)
        assert (target.read_bytes() if target.exists() else None) == before
        names = {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()
        assert names - {"file.zip"} <= set(left)
        return str(caught.value)

    return run


@pytest.fixture
def original(catalogue, tmp_path):
    """A function that prepares the small form of a set from its original files."""

    def run(name, made):
        row = small(catalogue.datasets[name].model_dump(), made)
        prepare(name, row, list(written(made.files, tmp_path).values()), tmp_path / "original")
        return tmp_path / "original"

    return run


@pytest.fixture
def mirror(catalogue):
    """A function that gives the row of a mirror for the sizes of a made set."""

    def row(name, called, made, class_names=None):
        (found,) = (one for one in catalogue.datasets[name].mirrors if one.name == called)
        row = catalogue.contents(name, found)
        row |= {"splits": {split: len(made.expected[split]) for split in row["splits"]}}
        row |= {"classes": made.classes, "files": dict.fromkeys(row["files"], "a user's own")}
        return row | ({"class_names": class_names} if "class_names" in row else {})

    return row
