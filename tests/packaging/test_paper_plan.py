"""What docs/reproduce-a-table.md says that the paper's tables take is what their plan says."""

import re
import runpy
import sys

import pytest
from workflow_text import ROOT

# As Python does for a script that it starts.
sys.path.insert(0, str(ROOT / "benchmarks"))
SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "paper_plan.py"))
START, END = SCRIPT["MARKS"]
TABLE = (ROOT / "docs" / "reproduce-a-table.md").read_text().partition(START)[2].partition(END)[0]
ADVICE = "run `python benchmarks/paper_plan.py`"


def test_each_table_and_figure_stands_there_once():
    assert re.findall(r"^\| `(\S+)` \|", TABLE, re.M) == SCRIPT["names"](), ADVICE


def test_a_row_is_what_the_plan_says(monkeypatch):
    if (ROOT / "results" / SCRIPT["STUDY"]).exists():
        pytest.skip("jobs that are done do not count")
    monkeypatch.chdir(ROOT)
    (row,) = SCRIPT["rows"](["table-cub"])
    assert row in TABLE, ADVICE


def test_the_readme_has_the_hours_of_the_page():
    text = SCRIPT["README"].read_text()
    assert SCRIPT["with_hours"](text) == text, ADVICE
    without = re.sub(r"(?<![\d.])\d+ (?=\| not run \|$)", "7 ", text, flags=re.M)
    assert without.count("7 | not run |") == 7
    assert SCRIPT["with_hours"](without) == text
