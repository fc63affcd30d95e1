import csv
import math
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negmerge.errors import UserError
from negmerge.evaluation import average_gap

PUBLISHED = Path(__file__).parents[2] / "config" / "published"
METRICS = ("retain", "forget", "test", "mia")
percent = st.floats(0, 100)
scores = st.fixed_dictionaries(dict.fromkeys(METRICS, percent))


def table(name):
    """The rows whose four metrics and gap are known, by method and data."""
    rows = defaultdict(dict)
    with open(PUBLISHED / name) as stream:
        for cell in csv.DictReader(stream):
            if cell["value"] != "NA":
                rows[cell["method"], cell["data"]][cell["metric"]] = float(cell["value"])
    return {row: cells for row, cells in rows.items() if set(METRICS) <= cells.keys()}


def test_the_known_rows_of_table_2_have_their_printed_gap():
    rows = table("table2.csv")
    retrain = {name: rows["Retrain", "retain"][name] for name in METRICS}
    compared = {row: cells for row, cells in rows.items() if row[0] != "Retrain"}
    assert len(compared) == 11
    for row, cells in compared.items():
        gap = average_gap({name: cells[name] for name in METRICS}, retrain)
        # Two digits are printed, and halves are rounded up.
        assert abs(gap - cells["gap"]) <= 0.005 + 1e-9, row
    assert average_gap(retrain, retrain) == rows["Retrain", "retain"]["gap"] == 0


def test_differences_count_without_their_sign():
    assert average_gap({"a": 10.0, "b": 20.0}, {"a": 12.0, "b": 14.0}) == 4.0


@given(scores, scores)
def test_the_gap_is_symmetric_and_bounded(one, other):
    gap = average_gap(one, other)
    assert gap == average_gap(other, one)
    largest = max(abs(one[name] - other[name]) for name in METRICS)
    assert largest / len(METRICS) - 1e-9 <= gap <= largest + 1e-9


@pytest.mark.parametrize(
    ("found", "reference", "message"),
    [
        ({"a": 1.0}, {"a": 1.0, "mia": 2.0, "test": 3.0}, "mia, test missing from the scores"),
        ({"a": 1.0, "mia": 2.0}, {"a": 1.0}, "mia missing from the reference"),
        ({}, {}, "no metric, expected at least 1"),
        ({"a": math.nan}, {"a": 1.0}, "a is nan in the scores, expected a percentage"),
        ({"a": 1.0}, {"a": math.inf}, "a is inf in the reference, expected a percentage"),
    ],
)
def test_scores_that_cannot_be_compared_are_refused(found, reference, message):
    with pytest.raises(UserError) as caught:
        average_gap(found, reference)
    assert str(caught.value) == f"average gap: {message}"
