import math

import pandas as pd
import pytest
from reporting_examples import PAPER, published, score, table

from negmerge.errors import UserError
from negmerge.reporting.cells import cells, read_cells, write_cells
from negmerge.reporting.records import MEAN, read_records


def cell(frame, method, metric, task=MEAN):
    where = (frame["method"] == method) & (frame["metric"] == metric) & (frame["task"] == task)
    (found,) = frame[where].to_dict("records")
    return found


def test_mean_standard_error_and_spread_of_two_tasks(scores):
    mean = cell(cells(table(), scores, {}), "negmerge", "forget")
    # 40 and 80 right of 200: 20 % and 40 %.
    assert mean["value"] == pytest.approx(30)
    error = 100 * math.sqrt(0.2 * 0.8 / 200 + 0.4 * 0.6 / 200) / 2
    assert mean["standard_error"] == pytest.approx(error, abs=1e-6)
    assert mean["std"] == pytest.approx(math.sqrt(200), abs=1e-6)
    assert (mean["averaged"], mean["images"]) == (2, 400)


def test_single_cells_stand_below_their_mean(scores):
    frame = cells(table(), scores, {})
    single = cell(frame, "negmerge", "forget", "letters")
    assert single["value"] == pytest.approx(40)
    assert single["standard_error"] == pytest.approx(100 * math.sqrt(0.24 / 200), abs=1e-6)
    assert pd.isna(single["std"])
    assert list(frame["task"][:3]) == [MEAN, "digits", "letters"]


def test_coefficient_and_rule_are_those_of_the_records(scores):
    scores[1] |= {"coefficient": 1.5, "upper_end": True}
    frame = cells(table(), scores, {})
    mean = cell(frame, "negmerge", "forget")
    assert (mean["coefficient"], mean["upper_end"]) == ("1.5 0.5", True)
    assert (mean["rule"], mean["keep"]) == ("control", "0.95")
    assert not cell(frame, "negmerge", "forget", "letters")["upper_end"]
    assert pd.isna(cell(frame, "pretrained", "forget")["coefficient"])


def test_paper_cell_and_difference(scores):
    frame = cells(table(column={"published": published()}), scores, PAPER)
    mean = cell(frame, "negmerge", "forget")
    assert (mean["paper"], mean["difference"]) == (20.76, pytest.approx(9.24))
    assert pd.isna(cell(frame, "negmerge", "forget", "digits")["paper"])


@pytest.mark.parametrize(("method", "metric"), [("negmerge", "control"), ("pretrained", "forget")])
def test_an_unknown_paper_cell_stays_unknown(scores, method, metric):
    frame = cells(table(column={"published": published()}), scores, PAPER)
    found = cell(frame, method, metric)
    assert pd.isna(found["paper"])
    assert pd.isna(found["difference"])


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ({"table": "table9"}, r"unknown file 'table9.csv'.*table1.csv"),
        ({"where": {"mod": "standard"}}, r"table1.csv: unknown column 'mod'.*'mode'"),
        ({"where": {}}, r"table1.csv: 2 rows fit"),
    ],
)
def test_a_wrong_place_of_the_paper_cells_is_an_error(scores, place, message):
    with pytest.raises(UserError, match=message):
        cells(table(column={"published": published(**place)}), scores, PAPER)


def test_a_missing_record_is_an_error(scores):
    with pytest.raises(UserError, match="no record of a/letters/uniform"):
        cells(table(), scores[:-1], {})


def test_a_record_that_stands_twice_is_an_error(scores):
    with pytest.raises(UserError, match="two records of a/digits/pretrained"):
        cells(table(), [*scores, scores[0]], {})


@pytest.mark.parametrize("counts", [{"correct": 0, "n": 0}, {"correct": 3, "n": 2}])
def test_impossible_counts_are_an_error(counts):
    record = score("a", "digits", "negmerge", 1, 1) | {"forget": counts}
    with pytest.raises(UserError, match="a/digits/negmerge: forget: "):
        cells(table(rows={"negmerge": "NegMerge"}), [record], {})


def test_a_record_that_does_not_say_what_it_is_of_is_an_error(tmp_path):
    path = tmp_path / "negmerge.json"
    path.write_text('[{"experiment": "a", "method": "negmerge"}]')
    with pytest.raises(UserError, match=r"negmerge\.json: the key 'task' is missing"):
        read_records(path)


def test_csv_is_the_same_twice_and_reads_back(scores, tmp_path):
    definition = table(column={"published": published()})
    for name in ("one.csv", "two.csv"):
        write_cells(tmp_path / name, cells(definition, scores, PAPER))
    text = (tmp_path / "one.csv").read_text()
    assert text == (tmp_path / "two.csv").read_text()
    assert ",NA," in text
    assert "nan" not in text
    write_cells(tmp_path / "again.csv", read_cells(tmp_path / "one.csv"))
    assert (tmp_path / "again.csv").read_text() == text


def test_labels_that_stand_twice_are_an_error(scores):
    with pytest.raises(UserError, match="the label 'Merge' twice"):
        cells(table(rows={"negmerge": "Merge", "uniform": "Merge"}), scores, {})
    column = table()["columns"][0]
    with pytest.raises(UserError, match="the label 'B/32' twice"):
        cells(table(columns=[column, column]), scores, {})
