import pytest
from file_server import FileServer


@pytest.fixture
def server():
    found = FileServer()
    yield found
    found.close()
