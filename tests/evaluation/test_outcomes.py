import csv
import math
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from negmerge.errors import UserError
from negmerge.evaluation import average_gap
from negmerge.evaluation.accuracy import Classification
from negmerge.evaluation.outcomes import outcomes_of, read_outcomes, write_outcomes
from refusals import refused

LABELS = {"experiment": "a", "task": "trial1", "method": "negmerge", "criterion": "gap"}
OBJECTIVE = Classification(None, torch.device("cpu"))
LOGITS = torch.tensor([[1.0, 1.0, 0.0], [0.0, 2.0, 1.0], [0.0, 0.0, 3.0]])


def write(path, **further):
    result = {
        "forget": (LOGITS, torch.tensor([0, 1, 1])),
        "test": (LOGITS[:2, :2], torch.tensor([1, 1])),
    }
    scores = {role: OBJECTIVE.scores(outputs) for role, outputs in result.items()}
    classes = {role: OBJECTIVE.classes(outputs) for role, outputs in result.items()}
    one = outcomes_of(LABELS, scores, classes, further)
    write_outcomes(path, [one, replace(one, criterion=None)])
    return path


def test_outcomes_read_back(tmp_path):
    unseen = np.array([1, 0, 1], np.uint8)
    again, other = read_outcomes(write(tmp_path / "m.safetensors", forget_unseen=unseen))
    assert (again.place, again.criterion, other.criterion) == (
        ("a", "trial1", "negmerge"),
        "gap",
        None,
    )
    assert np.array_equal(other.right("test"), again.right("test"))
    assert again.classes == {"forget": 3, "test": 2}
    # Of equal logits the first is the answer.
    assert again.right("forget").tolist() == [1, 1, 0]
    assert again.right("test").tolist() == [0, 1]
    assert again.right("forget").dtype == np.uint8
    assert np.array_equal(again.arrays["forget_unseen"], unseen)


@pytest.mark.parametrize(
    "header", [None, {"negmerge": "[]"}, {"negmerge": '[{"experiment": "a"}]'}]
)
def test_a_header_that_does_not_fit_is_an_error(tmp_path, header):
    path = tmp_path / "m.safetensors"
    save_file({"0/forget_right": np.zeros(2, np.uint8)}, path, metadata=header)
    with pytest.raises(UserError, match="holds no outcomes of single images"):
        read_outcomes(path)


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
    assert refused(lambda: average_gap(found, reference)) == f"average gap: {message}"
