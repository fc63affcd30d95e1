import pytest
from download_case import CONTENT, QUICK
from file_server import FileServer

from negmerge.data.checksums import place_of_first
from negmerge.data.download import download
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
        recorded = [] if file["bytes"] and file["sha256"] else [place_of_first(target)]
        assert sorted(target.parent.iterdir()) == [target, *recorded]
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
