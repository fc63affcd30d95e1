"""What the pages say of studies is what the records in docs/results/ say."""

import sys

import pytest
from workflow_text import ROOT

# As Python does for a script that it starts.
sys.path.insert(0, str(ROOT / "benchmarks"))

import results
from marks import read_between

RECORDS = results.read_records()


def test_the_pages_show_each_record():
    shown = results.texts(RECORDS)
    assert {name for _, name, _ in shown} >= {*RECORDS, *results.SHOWN, "results"}
    for page, name, text in shown:
        assert read_between(page, name) == text, f"{page}: run `python benchmarks/results.py`"


def test_the_readme_has_at_most_eight_rows():
    many = dict.fromkeys(results.SHOWN, RECORDS["demo-full"])
    assert len(results.brief(many).splitlines()) == 2 + results.MOST_ROWS


@pytest.mark.parametrize("study", RECORDS)
def test_a_record_of_a_page_is_complete(study):
    found = RECORDS[study]
    assert {"date", "machine", "took", "versions", "remarks", "findings"} <= found.keys()
    for table in found["tables"]:
        assert table["headline"] in table["headings"]
        assert all(row["scores"].keys() <= table["headings"].keys() for row in table["rows"])
