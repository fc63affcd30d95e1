import math
from pathlib import Path

import pandas as pd
import pytest
from reporting_examples import PAPER, cell, means, outcomes, published, score, table

from negmerge.errors import UserError
from negmerge.reporting.cells import cells, paper_cell, read_cells, read_published, write_cells
from negmerge.reporting.notes import notes
from negmerge.reporting.records import MEAN, read_records
from negmerge.reporting.tables.accuracy import KIND as ACCURACY
from negmerge.selection import select_coefficient

SHIPPED = Path(__file__).parents[2] / "config" / "published"


def test_mean_standard_error_and_spread_of_two_tasks(scores):
    frame = cells(table(), scores, {})
    mean, single = (cell(frame, "negmerge", "forget", task) for task in (MEAN, "letters"))
    # 40 and 80 right of 200: 20 % and 40 %.
    assert (mean["value"], single["value"]) == pytest.approx((30, 40))
    error = 100 * math.sqrt(0.2 * 0.8 / 200 + 0.4 * 0.6 / 200) / 2
    assert mean["standard_error"] == pytest.approx(error, abs=1e-6)
    assert single["standard_error"] == pytest.approx(100 * math.sqrt(0.24 / 200), abs=1e-6)
    assert mean["std"] == pytest.approx(math.sqrt(200), abs=1e-6)
    assert pd.isna(single["std"])
    assert (mean["averaged"], mean["images"]) == (2, 400)
    assert list(frame["task"][:3]) == [MEAN, "digits", "letters"]


def test_coefficient_and_criterion_are_those_of_the_records(scores):
    scores[1] |= {"coefficient": 1.5, "upper_end": True}
    frame = cells(table(), scores, {})
    mean = cell(frame, "negmerge", "forget")
    assert (mean["coefficient"], mean["upper_end"]) == ("1.5 0.5", True)
    assert (mean["criterion"], mean["keep"]) == ("control", "0.95")
    assert not cell(frame, "negmerge", "forget", "letters")["upper_end"]
    assert pd.isna(cell(frame, "pretrained", "forget")["coefficient"])


def test_a_difference_may_hold_for_some_rows_of_the_file_alone(scores):
    frame = {"table1": PAPER["table1"].assign(split=["ours", "ours", "other", "ours"])}
    where = published(comparable={"split": "ours"})
    found = cells(table(column={"published": where}), scores, frame)
    own = found[(found["experiment"] == MEAN) & (found["metric"] == "forget")].set_index("method")
    assert own.loc["negmerge", "difference"] == pytest.approx(30 - 20.76)
    assert own.loc["uniform", "paper"] == 22.50
    assert math.isnan(own.loc["uniform", "difference"])


def test_how_often_a_row_is_lowest_of_those_that_keep_enough():
    rows = {"pretrained": "Base", "negmerge": "NegMerge", "uniform": "Uniform"}
    right = {"digits": (40, 44, 180), "letters": (50, 30, 100), "signs": (30, 30, 172)}
    records = [
        score("a", task, method, forget, control)
        for task, (negmerge, uniform, kept) in right.items()
        for method, forget, control in (
            ("pretrained", 160, 180), ("negmerge", negmerge, 172), ("uniform", uniform, kept)
        )
    ]  # fmt: skip
    found = ACCURACY.cells(table(rows=rows), records, {})
    lowest = means(found, "lowest")
    # In the second task Uniform loses too much, in the third both are equal.
    assert {name: lowest[name] for name in ("negmerge", "uniform")} == {"negmerge": 3, "uniform": 1}


def test_shipped_cells_of_the_paper_of_which_one_is_not_known():
    frames = read_published([SHIPPED / "table1.csv"])
    where = published(where={"mode": "standard", "backbone": "ViT-B-32"})
    assert paper_cell(frames, where, "NegMerge", "forget") == (20.76, "NOTE+SEED")
    assert paper_cell(frames, where, "Greedy Merge", "forget") == (None, None)


def test_the_shipped_sweep_chooses_what_the_notebook_chose():
    frames, grid = read_published([SHIPPED / "cars_b32_sweep.csv"]), [n / 20 for n in range(21)]
    where = published(table="cars_b32_sweep", where={"method": "NegMerge"}, row="coefficient")
    forget, control = (
        [paper_cell(frames, where, f"{value:.10g}", metric)[0] for value in grid]
        for metric in ("forget", "control")
    )
    assert None not in forget + control
    assert select_coefficient(grid, forget, control, 66.66) == 0.9


COLUMN = table()["columns"][0]


@pytest.mark.parametrize(
    ("definition", "change", "parts"),
    [
        (table(), lambda scores: scores[:-1], ["a/letters/uniform"]),
        (table(), lambda scores: [*scores, scores[0]], ["two records of a/digits/pretrained"]),
        (table(), lambda scores: [scores[0] | {"forget": {"correct": 3, "n": 2}}, *scores[1:]],
         ["a/digits/pretrained", "forget", "3", "2"]),
        (table(rows={"negmerge": "Merge", "uniform": "Merge"}), list, ["'Merge' twice"]),
        (table(columns=[COLUMN, COLUMN]), list, ["'B/32' twice"]),
        (table(column={"published": published(table="table9")}), list,
         ["table9.csv", "table1.csv"]),
        (table(column={"published": published(where={"mod": "x"})}), list,
         ["table1.csv", "'mod'", "'mode'"]),
        (table(column={"published": published(where={})}), list, ["table1.csv", "2 rows"]),
    ],
)  # fmt: skip
def test_what_is_missing_twice_or_impossible_is_named(scores, definition, change, parts):
    with pytest.raises(UserError) as caught:
        cells(definition, change(scores), PAPER)
    assert all(part in str(caught.value) for part in parts)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (None, "cannot be read"),
        ("method,metric,valeu\n", "'value'"),
        ("mode,method,metric,value\nstandard,NegMerge,forget,about 5\n", "'about 5'"),
    ],
)
def test_a_wrong_file_is_named(tmp_path, text, part):
    path = tmp_path / "table1.csv"
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=rf"table1\.csv: .*{part}"):
        paper_cell(read_published([path]), published(), "NegMerge", "forget")
    path.write_text('[{"experiment": "a", "method": "negmerge"}]')
    with pytest.raises(UserError, match=r"table1\.csv: the key 'task' is missing"):
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


def test_a_row_that_keeps_more_than_the_base_beyond_the_error_is_marked():
    rows = {"pretrained": "Base", "negmerge": "NegMerge", "uniform": "Uniform"}
    # The standard error of a difference of two shares near 0.75 of 200 is 4.3 points.
    records = [
        score("a", "t", "pretrained", 150, 150),
        score("a", "t", "negmerge", 50, 160, times=3),
        score("a", "t", "uniform", 50, 158),
    ]
    scores = [{**record, "kind": "merge"} for record in records]
    frame = cells(table(rows=rows), scores, {}, [outcomes(one) for one in scores])
    marked = frame[(frame["experiment"] == "mean") & (frame["metric"] == "control")]
    assert marked.set_index("method")["keeps_more"].to_dict() == {
        "pretrained": False, "negmerge": True, "uniform": False,
    }  # fmt: skip
    text = "\n".join(notes(table(rows=rows), frame))
    assert "↑: of what is to be kept it has more than the unchanged model" in text
    assert "NegMerge: by construction 3 times the mean" in text
