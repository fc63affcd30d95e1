"""What the pages say of studies is what the records in docs/results/ say."""

import results
from marks import read_between

RECORDS = results.read_records()


def test_the_pages_show_each_record():
    shown = results.texts(RECORDS)
    assert {name for _, name, _ in shown} >= {*RECORDS, *results.SHOWN, "results"}
    for page, name, text in shown:
        assert read_between(page, name) == text, f"{page}: run `python benchmarks/results.py`"
