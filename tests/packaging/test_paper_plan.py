"""What the pages say that studies take is what their plans say."""

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


def test_the_smaller_studies_take_what_their_page_says_and_no_more_than_they_promise(monkeypatch):
    if any((ROOT / "results" / name).exists() for name in SCRIPT["SMALLER"]):
        pytest.skip("jobs that are done do not count")
    monkeypatch.chdir(ROOT)
    rows = SCRIPT["smaller_rows"]()
    page = SCRIPT["SMALLER_PAGE"].read_text()
    assert "".join(rows) in page, ADVICE
    first_hour, lite, laptop = ([cell.strip() for cell in row.split("|")[2:-1]] for row in rows)
    gpu_of_12_gb, gpu_of_24_gb, two_cores, eight_cores = 0, 1, 4, 5
    assert float(first_hour[gpu_of_12_gb]) <= 1
    assert float(lite[gpu_of_24_gb]) <= 24
    assert float(laptop[two_cores]) <= 1.5
    assert float(laptop[eight_cores]) <= 0.5
