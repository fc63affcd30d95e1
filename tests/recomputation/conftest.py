import shutil

import pytest

from recomputation.made_up import write_study


@pytest.fixture(scope="package")
def made_up(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made_up") / "study"
    write_study(folder)
    return folder


@pytest.fixture
def study(made_up, tmp_path):
    """A copy of the study, to spoil."""
    return shutil.copytree(made_up, tmp_path / "study")
