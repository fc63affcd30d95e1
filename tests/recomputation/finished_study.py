"""A finished study, recomputed from its files.

`make test-demo` runs this on the demo, `make test-demo STUDY=demo-full` on the study that has
something of every kind. Of another study:

    RESULTS=results/mine .venv/bin/pytest -n 0 -s tests/recomputation/finished_study.py
"""

import os
from pathlib import Path

from recomputation import NUMBERS, WEIGHTS, recompute, vectors

FOLDER = Path(os.environ.get("RESULTS", "results/demo"))
MERGES = ("uniform", "greedy", "ties", "magmax", "negmerge", "conflict")
# What these must have; another study may have one scenario, or keep no checkpoints.
REQUIRED = {
    "demo": (*NUMBERS, vectors.VECTORS, *(f"merges by {name}" for name in MERGES)),
    "demo-full": (*NUMBERS, *WEIGHTS),
}


def test_its_numbers_are_those_that_its_files_give():
    assert (FOLDER / "report.html").exists(), f"{FOLDER}: no finished study"
    ledger = recompute(FOLDER, REQUIRED.get(FOLDER.name, ()))
    print(f"\n{FOLDER}, recomputed:", *ledger.lines(), sep="\n")
    assert not ledger.problems()
