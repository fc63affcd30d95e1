"""Tables of kind `sweep`: a row for each coefficient, beside the paper's sweep."""

import pandas as pd
import pytest
from reporting_examples import lay_out, published, table

from negmerge.reporting.records import MEAN
from negmerge.reporting.tables.sweep import KIND

ROWS = [
    ("NegMerge", "0.5", "forget", "40.00"),
    ("NegMerge", "1", "control", "NA"),
    ("Other", "0.5", "forget", "1.00"),
]
PAPER = {"cars": pd.DataFrame(ROWS, columns=("method", "coefficient", "metric", "value"))}


def sweep_table(rows=("negmerge",), **column):
    names = {"negmerge": "NegMerge", "m1": "single"}
    return table(kind="sweep", rows={row: names[row] for row in rows}, column=column)


@pytest.fixture
def points(sweep_files):
    """The points of `m1` and of `negmerge`, at 0, 0.5, 1 and 1.5."""
    return KIND.read([sweep_files[0], sweep_files[2]])


def means(frame, metric):
    chosen = frame[(frame["experiment"] == MEAN) & (frame["metric"] == metric)]
    return dict(zip(chosen["row"], chosen["value"], strict=True))


def test_each_coefficient_is_a_row_and_of_several_merges_says_whose(points):
    frame = KIND.cells(sweep_table(), points, {})
    assert means(frame, "forget") == {"0": 60, "0.5": 42, "1": 30, "1.5": 5}
    assert means(frame, "control") == {"0": 80, "0.5": 78, "1": 76, "1.5": 60}
    assert set(frame["images"].dropna()) == {100}
    forget = means(KIND.cells(sweep_table(rows=("m1", "negmerge")), points, {}), "forget")
    assert list(forget)[:3] == ["0, single", "0, NegMerge", "0.5, single"]
    assert (forget["1.5, single"], forget["1.5, NegMerge"]) == (10, 5)


def test_the_papers_cell_is_that_of_the_merge_and_the_coefficient(points):
    cells = published(table="cars", where={})
    frame = KIND.cells(sweep_table(published=cells), points, PAPER)
    (row,) = frame[(frame["experiment"] == MEAN) & frame["paper"].notna()].to_dict("records")
    assert (row["row"], row["metric"], row["paper"]) == ("0.5", "forget", 40)
    assert row["difference"] == pytest.approx(2)


def test_a_column_without_a_coefficient_has_no_cell_there(points):
    fine = [point | {"experiment": "b"} for point in points if point["coefficient"] != 0.5]
    columns = [table()["columns"][0] | {"label": x, "experiments": [x]} for x in ("a", "b")]
    definition = sweep_table() | {"columns": columns}
    printed = lay_out(definition, KIND.cells(definition, points + fine, {}))
    assert [row[0] for row in printed.rows] == ["0", "0.5", "1", "1.5"]
    assert printed.rows[1] == ["0.5", "42.00 ± 4.94", "78.00 ± 4.14", "NA", "NA"]
