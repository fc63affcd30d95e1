"""Tables of what a later request to forget brings back of earlier ones."""

from itertools import pairwise

import pytest
from reporting_examples import cell, compared, lay_out, means, score, table, write_json

from negmerge.reporting.kinds import table_kind
from negmerge.reporting.tables.history import rebound, stability


def test_rebound_and_stability_are_those_of_the_example():
    history = [10.0, 14.0, 12.0]
    assert [rebound(*step) for step in pairwise(history)] == [4.0, 0.0]
    assert stability([90.0, 88.0, 89.0]) == stability([89.0, 88.0, 90.0]) == 1.5


def test_a_table_compares_with_the_model_that_the_earlier_requests_left(tmp_path):
    # A, B and C forget digits, letters and signs one after the other; counts are of 200.
    def record(experiment, task, method, forget, control, after=None, **earlier):
        roles = {f"earlier-{name}": {"correct": n, "n": 200} for name, n in earlier.items()}
        more = {"after": after} if after else {}
        return score(experiment, task, method, forget, control, **more, **roles)

    records = [
        record("A", "digits", "pretrained", 160, 180),
        record("B", "letters", "pretrained", 150, 172, "A/digits/negmerge", digits=40),
        record("C", "signs", "pretrained", 140, 170, "B/letters/ties", digits=44, letters=30),
        record("C", "signs", "negmerge", 20, 176, "B/letters/ties", digits=80, letters=30),
        record("C", "signs", "uniform", 20, 160, "B/letters/ties", digits=40, letters=20),
    ]
    rows = {"pretrained": "before", "negmerge": "NegMerge", "uniform": "Uniform Merge"}
    definition = table(kind="history", rows=rows, column={"experiments": ["C"]})
    paths = [write_json(tmp_path / f"{n}.json", [one]) for n, one in enumerate(records)]
    frame = compared(definition, table_kind("history").read(paths))
    assert means(frame, "earlier") == {"pretrained": 18.5, "negmerge": 27.5, "uniform": 15.0}
    assert means(frame, "rebound") == {"pretrained": 0, "negmerge": 9.0, "uniform": 0}
    # Control 90, 86, 85, and then 88 or 80 percent.
    assert means(frame, "stability") == {
        "pretrained": 2.5, "negmerge": pytest.approx(8 / 3, abs=1e-6),
        "uniform": pytest.approx(10 / 3, abs=1e-6),
    }  # fmt: skip
    assert cell(frame, "negmerge", "forget")["value"] == 10
    assert "rebound" in [heading.text for heading in lay_out(definition, frame).headings]
