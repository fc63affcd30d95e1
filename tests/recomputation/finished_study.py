"""A finished study, recomputed from its files.

`make test-demo` runs this on the demo. Of another study:

    RESULTS=results/mine .venv/bin/pytest -n 0 -s tests/recomputation/finished_study.py
"""

import os
from pathlib import Path

from recomputation import NUMBERS, WEIGHTS, recompute

FOLDER = Path(os.environ.get("RESULTS", "results/demo"))


def test_its_numbers_are_those_that_its_files_give():
    assert (FOLDER / "report.html").exists(), f"{FOLDER}: no finished study"
    # The demo has all of them; another study may have one scenario, or keep no checkpoints.
    ledger = recompute(FOLDER, (*NUMBERS, *WEIGHTS) if FOLDER.name == "demo" else ())
    print(f"\n{FOLDER}, recomputed:", *ledger.lines(), sep="\n")
    assert not ledger.problems()
