"""The rules `download` and `prepare`, and `negmerge data`, on a copy of the workflow."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from made_files import small
from made_mirrors import ARCHIVES
from made_sets import SETS

from negmerge.data.images import Images
from negmerge.settings.datasets import prepared_from
from tiny_study import Checkout

PREPARED = "data/eurosat/images.safetensors"
FETCHED = "data/downloads/eurosat/EuroSAT.zip"
MIRROR = "EuroSAT_splits.tar"


class Copy(Checkout):
    """A copy of the workflow in which EuroSAT is small and comes from the test's server."""

    def __init__(self, folder, server, row):
        super().__init__(folder)
        self.server, self.row = server, row
        self.change()

    def change(self, **settings):
        """Change the row of the set and its file."""
        path = self.folder / "config" / "datasets.yaml"
        rows = yaml.safe_load(path.read_text())
        self.row["files"]["images"] |= settings
        rows["eurosat"] = self.row
        path.write_text(yaml.safe_dump(rows))
        prompts = self.folder / "config" / "prompts.yaml"
        rows = yaml.safe_load(prompts.read_text())
        rows["eurosat"]["classes"] = rows["eurosat"]["classes"][: self.row["classes"]]
        prompts.write_text(yaml.safe_dump(rows))

    def run(self, *arguments):
        done = self.snakemake("--cores", "1", *arguments, "--", PREPARED)
        return done.returncode, done.stdout + done.stderr

    def left(self):
        folder = self.folder / "data" / "downloads" / "eurosat"
        return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture
def made():
    return SETS["eurosat"]()


@pytest.fixture
def copy(checkout, tmp_path, server, catalogue, made):
    """EuroSAT with an original by hand, and a mirror at the server that breaks off once."""
    row = small(catalogue.datasets["eurosat"].model_dump(mode="json"), made)
    row["files"]["images"]["manual"] = "Ask the authors."
    (mirror,) = row["mirrors"]
    (file,) = mirror["files"].values()
    content = ARCHIVES["eurosat"](made)["images"]
    # The server is not the hub, whose files need no checksum.
    file |= {"urls": [server.url(MIRROR)], "sha256": hashlib.sha256(content).hexdigest()}
    server.files[MIRROR] = content
    server.faults[MIRROR] = [1000]
    return Copy(checkout.copy(tmp_path / "workflow").folder, server, row)


def test_a_set_is_made_from_a_mirror_or_what_the_user_fetches_and_stays(copy, made):
    code, text = copy.run()
    assert code == 0, text
    prepared = copy.folder / PREPARED
    assert copy.left() == {MIRROR}
    assert prepared_from(prepared) == "merging-benchmark"
    for split, items in made.expected.items():
        assert Images(prepared, split).labels.tolist() == [label for label, _ in items]
    log = (copy.folder / f"data/logs/download/eurosat/{MIRROR}.log").read_text()
    assert f"{MIRROR}: the connection " in log
    assert f"{MIRROR}: 100%" in log
    # What was made stays: without its file, with another address, and with other code.
    (copy.folder / "data/downloads/eurosat" / MIRROR).unlink()
    copy.change(urls=["http://127.0.0.1:1/x"])
    with open(copy.folder / "workflow/scripts/download.py", "a") as script:
        script.write("# changed\n")
    code, text = copy.run("--dry-run")
    assert code == 0, text
    assert "Nothing to be done" in text
    # The user takes the original, of which the one error names all files to fetch.
    own = ("--config", "data_sources={eurosat: original}")
    path = copy.folder / FETCHED
    code, text = copy.run(*own)
    assert code == 1
    path.parent.mkdir(parents=True, exist_ok=True)
    assert f"error: {Path(FETCHED).parent}: 1 file is missing that a person has to fetch: " in text
    path.write_bytes(made.files["images"][:-1])
    code, text = copy.run(*own)
    assert code == 1
    assert f"error: {FETCHED}: not the right file: found " in text
    assert copy.left() == {"EuroSAT.zip"}
    path.write_bytes(made.files["images"])
    code, text = copy.run(*own)
    assert code == 0, text
    assert prepared_from(prepared) == "original"
    assert len(copy.server.requests) == 2


def test_the_command_fetches_what_a_study_needs(copy):
    """The study `smoke`, whose garments here are the images of EuroSAT."""
    for name in ("datasets", "prompts"):
        path = copy.folder / "config" / f"{name}.yaml"
        rows = yaml.safe_load(path.read_text())
        rows["few-garments"] = rows["eurosat"]
        path.write_text(yaml.safe_dump(rows))

    def run(*words):
        code = "import sys; from negmerge.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", code, "data", "smoke", *words]
        return subprocess.run(command, cwd=copy.folder, capture_output=True, text=True)

    before, after = run(), run("--fetch")
    assert before.returncode == after.returncode == 0, after.stderr
    (line,) = [row for row in before.stdout.splitlines() if row.startswith("few-garments ")]
    assert "merging-benchmark" in line
    assert "0 of 1" in line
    assert line.replace("0 of 1", "1 of 1") in after.stdout.splitlines()
    place = copy.folder / "data/downloads/few-garments" / MIRROR
    assert place.read_bytes() == copy.server.files[MIRROR]
