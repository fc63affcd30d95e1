import pytest
from file_server import FileServer
from made_files import small, written

from negmerge.data.preparation import prepare


@pytest.fixture
def server():
    server = FileServer()
    yield server
    server.close()


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
        (chosen,) = (m for m in catalogue.datasets[name].mirrors if m.name == called)
        row = catalogue.contents(name, chosen)
        row |= {"splits": {split: len(made.expected[split]) for split in row["splits"]}}
        row |= {"classes": made.classes, "files": dict.fromkeys(row["files"], "a user's own")}
        return row | ({"class_names": class_names} if "class_names" in row else {})

    return row
