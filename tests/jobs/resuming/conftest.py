import pytest
from training_run import RUN

from negmerge.jobs import resuming
from negmerge.jobs.resuming import SavedState


@pytest.fixture
def lines():
    return []


@pytest.fixture
def start(tmp_path, lines, monkeypatch):
    """A function that gives the saved state as a new process does; it is saved in each step."""
    monkeypatch.setattr(resuming, "RATIO", 0.0)

    def start(run=RUN, seconds=0.0, path=tmp_path / ".m1.state.safetensors"):
        lines.clear()
        return SavedState(path, lambda: run, seconds, lines.append)

    return start
