"""What the pages say that studies take is what their plans say."""

import runpy

import pytest
from workflow_text import ROOT

SCRIPT = runpy.run_path(str(ROOT / "benchmarks" / "paper_plan.py"))
ADVICE = "run `python benchmarks/paper_plan.py`"


@pytest.fixture(autouse=True)
def in_the_workflow(monkeypatch):
    if any((ROOT / "results" / name).exists() for name in (SCRIPT["STUDY"], *SCRIPT["SMALLER"])):
        pytest.skip("jobs that are done do not count")
    monkeypatch.chdir(ROOT)


def test_the_tables_of_the_paper_take_what_their_page_says():
    start, end = SCRIPT["MARKS"]
    table = SCRIPT["PAGE"].read_text().partition(start)[2].partition(end)[0]
    assert table.strip() == (SCRIPT["HEAD"] + "".join(SCRIPT["rows"]())).strip(), ADVICE


def test_the_readme_has_the_hours_of_the_page():
    text = SCRIPT["README"].read_text()
    assert SCRIPT["with_hours"](text) == text, ADVICE
    assert SCRIPT["with_hours"](text.replace(" GPU hours]", "7 GPU hours]")) == text


@pytest.mark.parametrize(("study", "machine", "most"), [("lite", 1, 24), ("laptop", 2, 6)])
def test_a_smaller_study_takes_what_its_page_says_and_no_more_than_it_promises(
    study, machine, most
):
    row = SCRIPT["smaller_row"](study)
    assert row in SCRIPT["SMALLER_PAGE"].read_text(), ADVICE
    assert float(row.split("|")[2 + machine]) <= most
