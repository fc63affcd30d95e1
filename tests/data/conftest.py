import pytest
from file_server import FileServer
from small_rows import small, written

from negmerge.data.fetch import download
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
        paths = written(made, tmp_path)
        prepare(name, small(catalogue.contents(name), made), list(paths.values()), target)
        return target

    target = tmp_path / "original"
    return run


@pytest.fixture
def mirror(catalogue):
    """A function that gives the row of a mirror for the sizes of a made set."""

    def row(name, called, made, class_names):
        (chosen,) = (m for m in catalogue.datasets[name].mirrors if m.name == called)
        whole = catalogue.contents(name, chosen)
        splits = {split: len(made.expected[split]) for split in whole["splits"]}
        whole |= {"splits": splits, "classes": made.classes}
        return whole | ({"class_names": class_names} if "class_names" in whole else {})

    return row


@pytest.fixture
def fetched(server, tmp_path):
    """A function that gets files of a mirror from the test's server, and gives their paths."""

    def run(row, files):
        paths = []
        for key, content in files.items():
            file = row["files"][key]
            server.files[file["name"]] = content
            path = tmp_path / "mirror" / file["name"]
            file |= {"urls": [server.url(file["name"])], "manual": None}
            download(path, file, write=lambda line: None)
            paths.append(str(path))
        return paths

    return run
