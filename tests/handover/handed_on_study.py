"""A finished study, handed on: packed here, unpacked where nothing has run, its tables made anew.

`make test-demo` runs this on the demo. Of another study:

    RESULTS=results/mine .venv/bin/pytest -n 0 -s tests/handover/handed_on_study.py
"""

import os
from pathlib import Path

from crate_validation import findings

from negmerge.cli import main
from tiny_study import Checkout

FOLDER = Path(os.environ.get("RESULTS", "results/demo"))


def test_its_tables_are_made_anew_elsewhere_with_the_same_bytes(
    workflow, tmp_path, monkeypatch, capsys
):
    assert (FOLDER / "report.html").exists(), f"{FOLDER}: no finished study"
    archive, tables = tmp_path / "study.zip", sorted((FOLDER / "tables").iterdir())
    assert main(["pack", FOLDER.name, "-o", str(archive)]) == 0
    with capsys.disabled():
        print(f"\n{FOLDER}: {archive.stat().st_size / 1e6:.1f} MB packed")
    assert findings(archive, monkeypatch) == []
    expected = {path.name: path.read_bytes() for path in tables}
    monkeypatch.chdir(workflow)
    assert main(["unpack", str(archive)]) == 0
    clone = Checkout(workflow)
    assert clone.planned(str(FOLDER / "report.html")) == set()
    made = workflow / "results" / FOLDER.name / "tables"
    assert {path.name: path.read_bytes() for path in made.iterdir()} == expected
    for path in made.iterdir():
        path.unlink()
    targets = [f"results/{FOLDER.name}/tables/{name}" for name in expected if name.endswith(".md")]
    run = clone.snakemake("--cores", "2", "--", *targets)
    assert run.returncode == 0, run.stderr
    assert {path.name: path.read_bytes() for path in made.iterdir()} == expected
