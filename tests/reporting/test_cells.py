import math
from pathlib import Path

import pandas as pd
import pytest
from reporting_examples import PAPER, cell, published, table

from negmerge.errors import UserError
from negmerge.reporting.cells import cells, paper_cell, read_cells, read_published, write_cells
from negmerge.reporting.records import MEAN, read_records

SHIPPED = Path(__file__).parents[2] / "config" / "published"


def test_mean_standard_error_and_spread_of_two_tasks(scores):
    mean = cell(cells(table(), scores, {}), "negmerge", "forget")
    # 40 and 80 right of 200: 20 % and 40 %.
    assert mean["value"] == pytest.approx(30)
    error = 100 * math.sqrt(0.2 * 0.8 / 200 + 0.4 * 0.6 / 200) / 2
    assert mean["standard_error"] == pytest.approx(error, abs=1e-6)
    assert mean["std"] == pytest.approx(math.sqrt(200), abs=1e-6)
    assert (mean["averaged"], mean["images"]) == (2, 400)

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
    assert (mean["criterion"], mean["keep"]) == ("control", "0.95")
    assert not cell(frame, "negmerge", "forget", "letters")["upper_end"]
    assert pd.isna(cell(frame, "pretrained", "forget")["coefficient"])


def test_paper_cell_and_difference(scores):
    frame = cells(table(column={"published": published()}), scores, PAPER)
    mean = cell(frame, "negmerge", "forget")
    assert (mean["paper"], mean["difference"]) == (20.76, pytest.approx(9.24))
    assert pd.isna(cell(frame, "negmerge", "forget", "digits")["paper"])
    for method, metric in (("negmerge", "control"), ("pretrained", "forget")):
        unknown = cell(frame, method, metric)
        assert pd.isna(unknown["paper"])
        assert pd.isna(unknown["difference"])


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


WRONG = {
    "a/letters/uniform": lambda scores: scores[:-1],
    "two records of a/digits/pretrained": lambda scores: [*scores, scores[0]],
    "a/digits/pretrained: forget: ": lambda scores: (
        [scores[0] | {"forget": {"correct": 3, "n": 2}}, *scores[1:]]
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_records_that_are_missing_twice_or_impossible_are_named(scores, message):
    with pytest.raises(UserError, match=message):
        cells(table(), WRONG[message](scores), {})


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


def test_a_shipped_cell_of_the_paper_and_one_that_is_not_known():
    frames = read_published([SHIPPED / "table1.csv"])
    where = published(where={"mode": "standard", "backbone": "ViT-B-32"})
    assert paper_cell(frames, where, "NegMerge", "forget") == (20.76, "NOTE+SEED")
    assert paper_cell(frames, where, "Greedy Merge", "forget") == (None, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, r"table1.csv: cannot be read"),
        ("method,metric,valeu\n", r"table1.csv: unknown column 'value'; did you mean 'valeu'"),
        ("mode,method,metric,value\nstandard,NegMerge,forget,about 5\n", "'about 5' is not a num"),
    ],
)
def test_a_wrong_file_of_the_papers_cells_is_an_error(tmp_path, text, message):
    path = tmp_path / "table1.csv"
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=message):
        paper_cell(read_published([path]), published(), "NegMerge", "forget")
