"""The rules `download` and `prepare` on a copy of the workflow."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_sets import SETS
from small_rows import small

from negmerge.data.images import Images

ROOT = Path(__file__).parents[2]
PREPARED = "data/eurosat/images.safetensors"
FETCHED = "data/downloads/eurosat/EuroSAT.zip"


class Copy:
    """A copy of the workflow in which EuroSAT is small and comes from the test's server."""

    def __init__(self, folder, server, row):
        self.folder, self.server = folder, server
        for name in ("config", "rules", "workflow", "envs", "profiles", "report"):
            ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(ROOT / name, folder / name, ignore=ignore)
        shutil.copy(ROOT / "Snakefile", folder)
        self.row = row
        self.change()

    def change(self, **settings):
        """Change the row of the set and its file."""
        path = self.folder / "config" / "datasets.yaml"
        rows = yaml.safe_load(path.read_text())
        self.row["files"]["images"] |= settings
        rows["eurosat"] = self.row
        path.write_text(yaml.safe_dump(rows))
        prompts = self.folder / "config" / "prompts.yaml"
        found = yaml.safe_load(prompts.read_text())
        found["eurosat"]["classes"] = found["eurosat"]["classes"][: self.row["classes"]]
        prompts.write_text(yaml.safe_dump(found))

    def run(self, *arguments):
        command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments, "--", PREPARED]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def left(self):
        folder = self.folder / "data" / "downloads" / "eurosat"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def made():
    return SETS["eurosat"]()


@pytest.fixture
def copy(tmp_path, server, catalogue, made):
    row = small(catalogue.datasets["eurosat"].model_dump(), made, server)
    return Copy(tmp_path, server, row | {"mirrors": []})


def test_a_set_is_fetched_once_and_prepared(copy, made):
    copy.server.faults["EuroSAT.zip"] = [1000]
    code, text = copy.run()
    assert code == 0, text
    images = Images(copy.folder / PREPARED, "val")
    assert images.labels.tolist() == [label for label, _ in made.expected["val"]]
    assert copy.left() == {"EuroSAT.zip"}
    log = (copy.folder / "data/logs/download/eurosat/EuroSAT.zip.log").read_text()
    assert "EuroSAT.zip: the connection ended after 1000 of" in log
    assert "(100 %)" in log
    # Neither another mirror nor another code fetches the file again or prepares anew.
    count = len(copy.server.requests)
    prepared = (copy.folder / PREPARED).stat().st_mtime_ns
    copy.change(urls=["http://127.0.0.1:1/x", *copy.row["files"]["images"]["urls"]])
    with open(copy.folder / "workflow/scripts/download.py", "a") as script:
        script.write("# changed\n")
    code, text = copy.run()
    assert code == 0, text
    assert len(copy.server.requests) == count
    assert (copy.folder / PREPARED).stat().st_mtime_ns == prepared
    # What is missing is made, however old the file is.
    (copy.folder / PREPARED).unlink()
    code, text = copy.run()
    assert code == 0, text
    assert len(copy.server.requests) == count
    assert (copy.folder / PREPARED).exists()


def test_a_file_that_a_person_has_to_fetch(copy, made):
    # A set of which more than one file is missing: all are named at once.
    more = copy.row["files"]["images"] | {"name": "EuroSAT-more.zip", "manual": "Ask the authors."}
    copy.row["files"]["more"] = more
    copy.change(manual="Ask the authors.")
    code, text = copy.run()
    assert code == 1
    folder = str(Path(FETCHED).parent)
    assert f"error: {folder}: 2 files are missing that a person has to fetch: EuroSAT.zip (" in text
    assert "; EuroSAT-more.zip (" in text
    assert f"Put what is missing into {folder}, under these names, and run the same" in text
    assert copy.left() == set()
    path = copy.folder / FETCHED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_name("EuroSAT-more.zip").write_bytes(made.files["images"])
    path.write_bytes(made.files["images"][:-1])
    code, text = copy.run()
    assert code == 1
    assert f"error: {FETCHED}: not the right file: found " in text
    assert copy.left() == {"EuroSAT.zip", "EuroSAT-more.zip"}
    path.write_bytes(made.files["images"])
    code, text = copy.run()
    assert code == 0, text
    assert not copy.server.requests
